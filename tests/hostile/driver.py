"""Runs command lines one after the other in one process, as a child of the supervisor.

    python -P driver.py PLAN OUT

PLAN is a JSON list of command lines; before each one a marker file is opened, so that a trace of
system calls says which command a call belongs to. OUT gets a JSON list of what each one said.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

MARKER = "command-"


def run_all(plan: Path, out: Path) -> None:
    from git_copilot.assistant.cli import run

    said = []
    for number, argv in enumerate(json.loads(plan.read_text("utf-8"))):
        (out.parent / f"{MARKER}{number}").touch()
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape")
        stderr = io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = run(argv, b"")
            stdout.flush()
        text = stdout.buffer.getvalue().decode("utf-8", "replace")
        said.append({"argv": argv, "code": code, "stdout": text, "stderr": stderr.getvalue()})
    out.write_text(json.dumps(said), "utf-8")


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), Path(sys.argv[2]))
