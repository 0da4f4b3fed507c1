"""Keeps memory that torch frees for torch: on a CPU, fresh pages cost more than what fills them.

glibc hands every large block back to the system when it is freed, and the next one of the same size
is zeroed page by page again. The softmax over a vocabulary of 49,152 then takes twenty times as
long as its arithmetic, and training a small model half as long again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
# The heap shrinks only where so much at its end is free, and grows by as much.
KEPT_BYTES = 1 << 29
GROWTH_BYTES = 64 << 20
# What may gather while requests come, and what is worth giving back when none do.
GATHERED_BYTES, WORTH_BYTES = 192 << 20, 32 << 20


def keep_freed_memory() -> bool:
    """Let this process use freed memory again; whether the C library can be told so.

    To be called before torch allocates: blocks that are mapped by then stay so until freed.
    """
    try:
        if not os.confstr("CS_GNU_LIBC_VERSION"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, ValueError):
        return False
    wanted = (
        # One arena, since others cannot hold large blocks; and no block of a mapping's own.
        (_ARENA_MAX, 1),
        (_MMAP_MAX, 0),
        (_TRIM_THRESHOLD, KEPT_BYTES),
        (_TOP_PAD, GROWTH_BYTES),
    )
    done = [mallopt(name, value) for name, value in wanted]
    return all(done)


class HeapTrimmer:
    """Gives freed memory back all the same where much of it has gathered, or nobody needs it.

    Blocks of many sizes leave holes that no larger one fits into; of 1.6 GB after 40 requests on
    four repositories 0.4 were holes.
    """

    def __init__(self) -> None:
        self._base = 0  # memory that was taken when some was given back last

    def after_request(self) -> bool:
        """Give it back if this process takes :data:`GATHERED_BYTES` more than after the last
        time; whether it did. The next request pays for its pages again, some 50 ms."""
        if self._base and resident_bytes() < self._base + GATHERED_BYTES:
            return False
        return self.give_back()

    def when_idle(self) -> bool:
        """Give back what has gathered since, if it is worth it."""
        if self._base and resident_bytes() < self._base + WORTH_BYTES:
            return False
        return self.give_back()

    def give_back(self) -> bool:
        """Give it back, where the C library can be told so."""
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError):
            return False
        finally:
            self._base = resident_bytes()
        return True


def resident_bytes() -> int:
    """The memory that this process takes; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0
