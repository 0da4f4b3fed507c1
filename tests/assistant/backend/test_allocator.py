"""Freed memory stays with the process under glibc; other C libraries are left alone."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from git_copilot.assistant.backend.allocator import keep_freed_memory

# How many pages fault when blocks of 64 MiB are filled and freed in turn.
FAULTS = """
import ctypes, resource, sys
from git_copilot.assistant.backend.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
size = 64 << 20
def once():
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(ctypes.c_void_p(block), 1, size)
    libc.free(ctypes.c_void_p(block))
once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    once()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(
    not os.confstr_names.get("CS_GNU_LIBC_VERSION"), reason="the C library is not glibc"
)
def test_freed_blocks_are_reused_without_page_faults():
    assert faults("keep") < faults("leave") / 10


def test_other_c_libraries_than_glibc_are_left_alone(monkeypatch):
    def missing(name):
        raise AttributeError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert keep_freed_memory() is False
