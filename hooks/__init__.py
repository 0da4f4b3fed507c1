"""What git runs: hook shims, their installation, the spool of events, and the worker that drains it."""
