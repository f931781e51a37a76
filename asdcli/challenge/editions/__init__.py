"""The editions as data files, and what their names say: clips, attributes, ground truth, score files, counts."""
