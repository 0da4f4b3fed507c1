"""Applies the rule files of a tree (`.gitattributes`, `.copilotignore`), as git itself would."""
