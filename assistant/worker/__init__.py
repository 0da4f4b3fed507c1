"""The jobs of the background worker."""
