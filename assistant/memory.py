"""Keeps memory that torch frees for torch: on a CPU, fresh pages cost more than what fills them.

glibc hands every large block back to the system when it is freed, and the next one of the same size
is zeroed page by page again. The softmax over a vocabulary of 49,152 then takes twenty times as
long as its arithmetic, and training a small model half as long again.
"""

from __future__ import annotations

import ctypes
import os

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
# The heap shrinks only where so much at its end is free, and grows by as much.
KEPT_BYTES = 1 << 29
GROWTH_BYTES = 64 << 20


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
