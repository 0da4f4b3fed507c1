"""The warm server of one user: a daemon that calls the service for its clients."""
