"""Writes files with modes, and reads everything a folder contains."""

from __future__ import annotations

import os
from pathlib import Path


def folder_content(folder: Path) -> dict[str, tuple]:
    """Everything below ``folder``: kind, mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))  # noqa: PTH115
        elif path.is_dir():
            found[name] = ("folder", oct(path.stat().st_mode))
        else:
            found[name] = ("file", oct(path.stat().st_mode), path.read_bytes())
    return found


def write_file(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.fsencode(text))
    path.chmod(mode)
    return path
