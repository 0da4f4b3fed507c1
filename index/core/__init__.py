"""Errors, value types, terminal escaping and safe file access, used by every other package."""
