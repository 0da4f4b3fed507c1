"""Settings, terminal, error handler, progress and files: what every other package of the assistant uses."""
