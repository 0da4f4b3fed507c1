"""bench/quality.py: programs under test cannot leave the sandbox."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from git_copilot.index.core.errors import CopilotError

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    sandbox = importlib.import_module("sandbox")

SHORT = sandbox.Limits(cpu_seconds=1)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits differ")


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("assert 1 + 1 == 2", "passed"),
        ("from typing import List\nimport math, re, hashlib\nassert math.gcd(4, 6) == 2", "passed"),
        ("assert False", "failed"),
        ("def broken(:", "failed"),
        ("raise SystemExit(0)", "failed"),
        ("import os\nos._exit(0)", "failed"),
        ("import os, sys\nos._exit = sys.exit = print\nassert False", "failed"),
        ("input()", "failed"),
        ("if __name__ == '__main__':\n    assert False", "passed"),
        ("text = '\ud800'", "passed"),
    ],
)
def test_only_a_program_that_runs_to_its_end_passes(program, verdict):
    assert sandbox.run_program(program) == verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    pass",
        "import signal\nsignal.signal(signal.SIGXCPU, lambda *a: None)\nwhile True:\n    pass",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    ],
    ids=["loop", "loop that ignores the signal", "fork bomb"],
)
def test_cpu_time_is_limited(program):
    assert sandbox.run_program(program, SHORT) == "timeout"


def test_wall_clock_time_is_limited():
    limits = sandbox.Limits(wall_seconds=1.0)
    assert sandbox.run_program("import time\ntime.sleep(60)", limits) == "timeout"


def test_a_program_cannot_start_processes():
    program = """
import os
for start in (os.fork, lambda: os.system("true"), lambda: os.execv("/bin/true", ["true"])):
    try:
        start()
    except PermissionError:
        continue
    raise SystemExit
"""
    assert sandbox.run_program(program) == "passed"


@linux
def test_the_process_limit_is_enforced_by_the_kernel():
    program = """
import _thread
try:
    _thread.start_new_thread(print, ())
except RuntimeError:
    pass
else:
    raise SystemExit
"""
    assert sandbox.run_program(program) == "passed"


def test_a_program_cannot_reach_the_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        program = f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"
        assert sandbox.run_program(program) == "failed"
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "statement",
    [
        "import socket; socket.socket()",
        "import subprocess; subprocess.run(['true'])",
        "import ctypes; ctypes.CDLL(None)",
        "import os; os.kill(os.getppid(), 0)",
        "import os; os.remove(OUTSIDE)",
        "import shutil; shutil.rmtree(os.path.dirname(OUTSIDE))",
        "open(OUTSIDE, 'a')",
        "import os; os.open(OUTSIDE, os.O_WRONLY)",
        "import pathlib; pathlib.Path('..', 'other', 'kept').write_text('')",
    ],
)
def test_the_audit_hook_refuses_dangerous_operations(statement, tmp_path):
    """On its own, in a process that is otherwise unrestricted."""
    inside, other = tmp_path / "inside", tmp_path / "other"
    inside.mkdir()
    other.mkdir()
    (other / "kept").write_text("kept")
    code = (
        "import os, sys, socket, subprocess, ctypes, shutil, pathlib, sandbox_child\n"
        f"OUTSIDE = {str(other / 'kept')!r}\n"
        f"sandbox_child.refuse_by_audit({str(inside)!r})\n"
        "open('mine', 'w').write('x')\n"
        f"try:\n    {statement}\n"
        "except PermissionError as exc:\n    print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=inside,
        env={"PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("refused in the sandbox: "), done.stderr
    assert (other / "kept").read_text() == "kept"


@linux
def test_memory_and_file_size_are_limited():
    assert sandbox.run_program("x = bytearray(64 << 20)") == "passed"
    assert sandbox.run_program("x = bytearray(2 << 30)") == "failed"
    assert sandbox.run_program("open('a', 'w').write('x' * 1000)") == "passed"
    assert sandbox.run_program("open('a', 'w').write('x' * (2 << 20))") == "failed"


def test_what_a_program_prints_is_ignored():
    assert sandbox.run_program("print('x' * 10**7)") == "passed"
    assert sandbox.run_program("print('passed')\nassert False") == "failed"


def test_a_program_sees_no_user_files_and_leaves_none(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o755)
    program = """
import os
assert set(os.environ) <= {"PYTHONHASHSEED", "LC_CTYPE"}, os.environ
assert os.listdir() == []
open("left", "w").write("behind")
assert os.listdir() == ["left"]
"""
    assert sandbox.run_programs([program, program + "\n"]) == ["passed", "passed"]
    assert list(tmp_path.iterdir()) == []


def test_verdicts_come_in_the_order_of_the_programs():
    programs = ["x = 1", "assert False", "x = 1", "x = 2"] * 3
    shown = []
    verdicts = sandbox.run_programs(programs, progress=lambda *done: shown.append(done))
    assert verdicts == ["passed", "failed", "passed", "passed"] * 3
    assert shown[-1] == ("running tests", 3, 3)  # equal ones once


def test_a_sandbox_that_runs_nothing_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "CHILD", tmp_path / "gone.py")
    with pytest.raises(CopilotError, match="runs no program"):
        sandbox.run_programs(["x = 1"])
