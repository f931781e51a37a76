"""What looks and makes nothing: recipes, runs, this machine, and what figures are drawn of."""
