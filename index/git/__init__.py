"""Runs git and reads its objects, history and configuration; decides which repositories are trusted."""
