"""A repository, opened: its database, settings, embedder and vectors."""
