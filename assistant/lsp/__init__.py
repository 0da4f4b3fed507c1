"""The language server: documents in sync, inline completion and its feedback over stdio, answered by
the warm server of the user."""
