"""The command line: one thin file per command. Parse, call one function, draw the result."""
