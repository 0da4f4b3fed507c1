"""Explains what the index leaves out, and re-indexes what the user allows."""
