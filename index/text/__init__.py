"""Turns bytes into languages, syntax trees, chunks, names and words. Pure: no git, no database."""
