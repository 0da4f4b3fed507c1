"""``--isa avx2``: limits every library to an instruction set, as if this machine had no more.

To be imported and called before torch is: the libraries read their limits when they load. Child
processes inherit them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# torch's own kernels, oneDNN, MKL (on Intel's processors) and FBGEMM each have a limit.
LIMITS: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
_SHOWN = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimddp")


def limit_instructions(arguments: Sequence[str] | None = None) -> None:
    """Read ``--isa`` from the command line, before it is parsed as a whole."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_isa_option(parser)
    known, _ = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    if known.isa:
        os.environ.update(LIMITS[known.isa])


def add_isa_option(parser: argparse.ArgumentParser) -> None:
    """The option as it is documented; it has taken effect by then."""
    parser.add_argument(
        "--isa", choices=LIMITS, help="use no newer instructions than these (default: all)"
    )


def instructions() -> dict[str, object]:
    """The processor, its vector instructions, and the limit that the libraries were given."""
    model, flags = platform.processor(), set[str]()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
            elif name.strip() in ("flags", "Features"):
                flags = set(value.split())
                break
    except OSError:
        pass
    limited = next(
        (name for name, limit in LIMITS.items() if limit.items() <= os.environ.items()), None
    )
    return {
        "processor": model,
        "instructions": [name for name in _SHOWN if name in flags],
        "limited_to": limited,
    }
