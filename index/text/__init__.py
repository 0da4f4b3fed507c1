"""Derives languages, syntax trees, chunks, names and words from bytes. Pure: no git, no
database."""
