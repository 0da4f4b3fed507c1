"""Finds what looks like a secret in text. Pure."""
