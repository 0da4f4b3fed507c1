"""What `doctor` and `status` report."""
