"""The folder of all work: where things lie, what is fresh, one at a time, files in one step."""
