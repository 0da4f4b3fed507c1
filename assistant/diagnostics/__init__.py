"""Checks and facts that `doctor` and `status` report."""
