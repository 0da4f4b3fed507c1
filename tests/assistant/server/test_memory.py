"""The memory of the server does not grow with its requests."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading

import pytest

from git_copilot.assistant.backend import allocator
from git_copilot.assistant.backend.compute_thread import OneThread
from tests.support.running_server import Running, ScriptedService, completing

# Takes blocks as a model does, frees every other one, and says what is resident before and after.
HOLES = """
import ctypes, sys
from git_copilot.assistant.backend import allocator as memory
memory.keep_freed_memory()
memory.GATHERED_BYTES = int(sys.argv[1]) << 20
keeper = memory.Keeper()
keeper.give_back()
blocks = [bytearray(b"x") * (1 << 20) for _ in range(200)]
begun = memory.resident_bytes()
del blocks[::2]
told = keeper.after_request() if sys.argv[2] == "request" else keeper.when_idle()
print(begun >> 20, memory.resident_bytes() >> 20, told)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library")
@pytest.mark.parametrize(
    ("gathered", "when", "given_back"),
    [(50, "request", True), (5000, "request", False), (5000, "idle", True)],
)
def test_fragmented_memory_is_returned_to_the_system(gathered, when, given_back):
    done = subprocess.run(
        [sys.executable, "-c", HOLES, str(gathered), when], capture_output=True, check=True
    )
    before, after, told = done.stdout.split()
    assert (int(before) - int(after) > 90) is given_back
    assert told == str(given_back).encode()


def test_all_requests_compute_in_one_thread(runtime):
    threads = set()

    def run(operation, request, session, callbacks):
        threads.add(threading.get_ident())
        return {}

    server = Running(ScriptedService(run))
    try:
        for _ in range(3):
            assert server.ask(**completing("a.py:1"))["answer"] == {}
    finally:
        server.stop()
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_the_compute_thread_propagates_exceptions_and_continues():
    thread = OneThread("test")

    def broken():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        thread.call(broken)
    assert thread.call(lambda: 7) == 7
    thread.close()


def test_resident_memory_is_measured():
    assert allocator.resident_bytes() > 1 << 20
