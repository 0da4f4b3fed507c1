"""The warm server of one user and its thin client."""
