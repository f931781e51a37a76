"""What DCASE says: editions, clip names, ground truth, official metrics, score files, submissions. No torch in here."""
