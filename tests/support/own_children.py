"""The processes that the test process has started."""

from __future__ import annotations

import os
import subprocess


def own_children():
    """The processes, zombies included, that this one has started."""
    asked = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True)
    pairs = [line.split() for line in asked.communicate()[0].splitlines()]
    return {pid for pid, parent in pairs if parent == str(os.getpid())} - {str(asked.pid)}
