"""The memory of the server does not grow with its requests."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading

import pytest

from git_copilot.assistant.backend import allocator
from git_copilot.assistant.backend.compute_thread import ComputeThread
from tests.support.running_server import Running, ScriptedService, completing

# Takes blocks as a model does, frees every other one, and says what is resident before and after.
HOLES = """
import ctypes, sys
from git_copilot.assistant.backend import allocator as memory
memory.keep_freed_memory()
memory.MAX_GROWTH_BYTES = int(sys.argv[1]) << 20
trimmer = memory.HeapTrimmer()
trimmer.trim()
blocks = [bytearray(b"x") * (1 << 20) for _ in range(200)]
begun = memory.resident_bytes()
del blocks[::2]
reported = trimmer.trim_after_request() if sys.argv[2] == "request" else trimmer.trim_when_idle()
print(begun >> 20, memory.resident_bytes() >> 20, reported)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library")
@pytest.mark.parametrize(
    ("growth_mb", "when", "trimmed"),
    [(50, "request", True), (5000, "request", False), (5000, "idle", True)],
)
def test_holes_between_blocks_are_returned_to_the_system(growth_mb, when, trimmed):
    done = subprocess.run(
        [sys.executable, "-c", HOLES, str(growth_mb), when], capture_output=True, check=True
    )
    before, after, reported = done.stdout.split()
    assert (int(before) - int(after) > 90) is trimmed
    assert reported == str(trimmed).encode()


def test_all_requests_compute_in_one_thread(runtime):
    threads = set()

    def answer(operation, request, session, callbacks):
        threads.add(threading.get_ident())
        return {}

    server = Running(ScriptedService(answer))
    try:
        for _ in range(3):
            assert server.ask(**completing("a.py:1"))["answer"] == {}
    finally:
        server.stop()
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_the_compute_thread_raises_in_the_caller_and_continues():
    thread = ComputeThread("test")

    def broken():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        thread.call(broken)
    assert thread.call(lambda: 7) == 7
    thread.close()


def test_resident_memory_is_measured():
    assert allocator.resident_bytes() > 1 << 20
