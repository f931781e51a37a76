"""Embeddings to anomaly scores: detectors, what they learn from, thresholds."""
