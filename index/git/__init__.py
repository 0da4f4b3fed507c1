"""Runs git, reads its objects, history and configuration, and decides which repositories are
trusted."""
