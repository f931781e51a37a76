"""The arrows between files, one file and one `run` each: download, features, train, embed, score, ensemble, evaluate.

Every stage brings its prerequisites up to date first, does nothing where its result is fresh, and leaves either its
whole result or none.
"""
