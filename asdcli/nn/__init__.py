"""Networks, losses, optimisers and schedules, each with its registry."""
