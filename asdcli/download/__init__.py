"""Fetching what the organisers publish: records and their zips, ground truth, pretrained weights."""
