"""The stages between files: features, train, embed, score, ensemble, evaluate, package. One file and function each.

Every stage brings its prerequisites up to date first, does nothing where its result is fresh, and leaves either its
whole result or none.
"""
