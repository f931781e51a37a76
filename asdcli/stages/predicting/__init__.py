"""What is done with a finished run: a score, an alarm and why for any sound, and the bank and threshold behind them."""
