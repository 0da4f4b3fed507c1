"""Finds chunks by words, by meaning and by defined name, in commits and in uncommitted files."""
