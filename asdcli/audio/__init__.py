"""Files to tensors: the clip table, decoding, the packed store, front ends, and the demo data."""
