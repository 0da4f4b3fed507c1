"""Runs command lines, as a child of the supervisor: one process that has imported everything once
and forks for each repository.

    python -P driver.py

reads one JSON object a line from standard input and answers each with a line:

    {"commands": [[...], ...], "cwd": FOLDER, "work": FOLDER, "env": {...}}

Before each command a marker file is opened in ``work``, so that a trace of system calls says which
command a call belongs to; ``work/said.json`` gets a list of what each one said.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

MARKER = "command-"
HEAVY = ("torch", "transformers", "peft", "faiss", "tokenizers", "tree_sitter_language_pack")


def run_all(commands: list[list[str]], work: Path) -> None:
    from git_copilot.assistant.cli.main import run

    said = []
    for number, argv in enumerate(commands):
        (work / f"{MARKER}{number}").touch()
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape")
        stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape")
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = run(argv, b"")
        texts = []
        for stream in (stdout, stderr):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode("utf-8", "replace"))
        said.append({"argv": argv, "code": code, "stdout": texts[0], "stderr": texts[1]})
    (work / "said.json").write_text(json.dumps(said), "utf-8")
    (work / f"{MARKER}{len(commands)}").touch()


def _in_child(task: dict) -> None:
    os.chdir(task["cwd"])
    os.environ.clear()
    os.environ.update(task["env"])
    tempfile.tempdir = None
    status = 1
    try:
        run_all(task["commands"], Path(task["work"]))
        status = 0
    except BaseException:  # noqa: BLE001 - the parent tells of it
        (Path(task["work"]) / "error").write_text(traceback.format_exc())
    finally:
        os._exit(status)


def main() -> None:
    for name in HEAVY if "--cold" not in sys.argv else ():
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _in_child(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.__stdout__.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.__stdout__.flush()


if __name__ == "__main__":
    main()
