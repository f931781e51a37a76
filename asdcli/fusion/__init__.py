"""Scores to scores: normalisation, weighted fusion, and the search for weights, on plain arrays."""
