"""Silences the progress bars of libraries: a command draws its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers from drawing progress bars of its own across ours."""
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging as hf_logging

    quiet: Any = hf_logging
    quiet.disable_progress_bar()
    # The bar of a GGUF's conversion heeds no setting, and tqdm's own is read when it is imported.
    module: Any = gguf
    shown = getattr(module, "tqdm", None)
    if shown is None:  # in a version that takes the one above
        yield
        return
    module.tqdm = functools.partial(shown, disable=True)
    try:
        yield
    finally:
        module.tqdm = shown
