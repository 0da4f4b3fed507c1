"""Applies the rule files of a tree (`.gitattributes`, `.copilotignore`) with git's own matching."""
