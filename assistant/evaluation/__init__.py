"""Scores of models on held-out holes, compared arm by arm."""
