"""Errors, value types, terminal escaping and safe file access: what every other package uses."""
