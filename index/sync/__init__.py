"""Brings the index level with a tree."""
