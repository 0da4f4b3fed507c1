"""Runs commands as somebody whom permissions stop, whoever runs the tests."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

# To write and read whatever the permissions say: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER.
_ABOVE_PERMISSIONS = (1, 2, 3)
_DROP = 24  # PR_CAPBSET_DROP


def _give_up() -> None:
    """Drop root's capabilities to bypass permissions, from the next exec on."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in _ABOVE_PERMISSIONS:
            libc.prctl(_DROP, capability, 0, 0, 0)


def run_restricted(*command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, timeout=120, preexec_fn=_give_up,
        env={**os.environ, **env},
    )  # fmt: skip


def set_writable(folder: Path, writable: bool) -> None:
    """Grant or revoke the owner's write permission on a folder and everything in it."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o200 if writable else mode & ~0o222)


def mounts() -> bool:
    """Whether this user can mount something in a namespace of their own."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False
