"""Finds chunks: by words, by meaning, by defined name, in commits and in uncommitted files."""
