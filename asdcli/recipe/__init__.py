"""Recipes: published systems as data. Their schema, overlays that know their line in the file, checked components."""
