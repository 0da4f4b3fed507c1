"""The git hooks: shims, their installation, the spool of events, and the worker that processes
it."""
