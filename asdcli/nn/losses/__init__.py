"""Losses with weights of their own, or of more than a line."""
