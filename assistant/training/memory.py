"""How much of a batch is computed at once, and what is tried where memory does not suffice."""

from __future__ import annotations

import warnings
from typing import Any

import torch


def is_out_of_memory(exc: RuntimeError) -> bool:
    """Whether memory did not suffice, a GPU's or the machine's."""
    return isinstance(exc, torch.OutOfMemoryError) or "allocate" in str(exc)


class MemoryUse:
    """The number of tokens in one forward pass, which becomes smaller where they do not fit; once it
    cannot, activations are computed again in the backward pass instead of kept."""

    def __init__(self, model: Any, micro_tokens: int) -> None:
        """:param model: a peft model in training.
        :param micro_tokens: of one pass in 16 bits, on a CPU. An accelerator takes a whole batch as
            long as that fits.
        """
        self._model = model
        on_cpu = model.device.type == "cpu"
        # Of half the bytes twice as many fit.
        self._tokens = 2 * micro_tokens // model.dtype.itemsize if on_cpu else 1 << 20
        self._recomputes = False

    def rows(self, length: int) -> int:
        """How many examples of this length in tokens are computed at once."""
        return max(1, self._tokens // length)

    def use_less(self, length: int, count: int) -> bool:
        """Use less memory from here on; whether that is possible.

        :param length: in tokens, of the ``count`` examples of a batch, which did not fit.
        """
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        rows = min(self.rows(length), count)
        if rows > 1:
            self._tokens = rows // 2 * length
            return True
        if self._recomputes:
            return False
        self._recomputes = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # renamed in transformers 5
            self._model.get_base_model().gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        return True
