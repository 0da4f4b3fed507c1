"""The layers of a Llama-like model for a few rows, in C where it was compiled (few_rows.c).

The extension is optional: without a compiler at installation, or with ``GIT_COPILOT_NATIVE=0``, torch's
operators do the same in three times the time.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from git_copilot.assistant.backend.int8_linear import Quantized
from git_copilot.assistant.backend.kv_cache import KVCache

_SETTING = "GIT_COPILOT_NATIVE"
# One core reads the weights. Where there are more of them than this, several cores with torch's
# operators read faster.
LARGEST_MODEL = 2**29
# Heads whose size is a multiple of this many numbers fill the widest vectors.
_SIZE_STEP = 16
_LEVELS = {"AVX512": 2, "AVX2": 1}


class _Linear(ctypes.Structure):
    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("outputs", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        ("norm1", ctypes.c_void_p),
        ("norm2", ctypes.c_void_p),
        ("qkv", _Linear),
        ("out", _Linear),
        ("gated", _Linear),
        ("down", _Linear),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        ("layers", ctypes.POINTER(_Layer)),
        ("count", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("size", ctypes.c_int64),
        ("eps", ctypes.c_float),
    )


class _Pass(ctypes.Structure):
    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("start", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("rotations", ctypes.c_void_p),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("mask", ctypes.c_void_p),
        ("masked", ctypes.c_int64),
        ("work", ctypes.c_void_p),
    )


@functools.cache
def _library() -> tuple[ctypes.CDLL, int] | None:
    """The compiled functions and the level of instructions to use, that of torch at most."""
    if os.environ.get(_SETTING) == "0":
        return None
    try:
        module = importlib.import_module("git_copilot.assistant.backend._few_rows")
        library = ctypes.CDLL(str(module.__file__))
    except (ImportError, OSError):
        return None
    library.work_floats.restype = ctypes.c_int64
    library.work_floats.argtypes = (ctypes.POINTER(_Model), ctypes.c_int64, ctypes.c_int64)
    library.run_pass.restype = None
    library.run_pass.argtypes = (ctypes.POINTER(_Model), ctypes.POINTER(_Pass), ctypes.c_int)
    library.run_linear.restype = None
    library.run_linear.argtypes = (
        ctypes.POINTER(_Linear), ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p,
        ctypes.c_void_p, ctypes.c_int,
    )  # fmt: skip
    capability = torch.backends.cpu.get_cpu_capability()
    return library, min(int(library.best_level()), _LEVELS.get(capability, 0))


def level() -> int | None:
    """The instructions of the compiled code: 2 is AVX-512 with VNNI, 1 is AVX2, 0 what any processor
    has; ``None`` where it was not compiled."""
    found = _library()
    return None if found is None else found[1]


class NativeLinear:
    """Weights in int8 with a scale per output, rows in integers of 14 bits. Takes and gives float32.

    A row's result does not depend on the rows beside it, to the last bit.
    """

    def __init__(self, weight: Quantized, bias: torch.Tensor | None = None) -> None:
        """:raises RuntimeError: the extension is not there, see :func:`level`."""
        found = _library()
        if found is None:
            raise RuntimeError("few_rows.c was not compiled")
        self._library, self._level = found
        self._values, self._scale = weight.values.contiguous(), weight.scale.float().contiguous()
        self._bias = None if bias is None else bias.float().contiguous()
        self.bytes = self._values.numel()
        self.struct = _Linear(
            self._values.data_ptr(),
            self._scale.data_ptr(),
            None if self._bias is None else self._bias.data_ptr(),
            *self._values.shape,
        )

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        rows = rows.float().contiguous()
        outputs, inputs = self._values.shape
        found = torch.empty(len(rows), outputs)
        work = torch.empty(len(rows) * inputs)
        self._library.run_linear(
            self.struct, rows.data_ptr(), len(rows), found.data_ptr(), work.data_ptr(), self._level
        )
        return found


class LayerParts(Protocol):
    """What one layer consists of."""

    @property
    def norm1(self) -> torch.Tensor: ...
    @property
    def norm2(self) -> torch.Tensor: ...


class FewRows:
    """All layers of one model. Not thread-safe."""

    def __init__(
        self,
        layers: Sequence[tuple[LayerParts, Sequence[NativeLinear]]],
        shape: tuple[int, int, int, int],
        eps: float,
    ) -> None:
        """:param layers: of each the norms (float32), and its four linear layers: queries, keys and
        values; output; gate and up; down.
        :param shape: hidden size, heads, groups of heads with common keys, and their size.
        """
        found = _library()
        assert found is not None
        self._library, self._level = found
        self._kept = layers
        self._layers = (_Layer * len(layers))(
            *(
                _Layer(
                    parts.norm1.data_ptr(), parts.norm2.data_ptr(), *(each.struct for each in linears)
                )
                for parts, linears in layers
            )
        )  # fmt: skip
        self._model = _Model(self._layers, len(layers), *shape, eps)
        self._work = torch.empty(0)

    def run(
        self,
        cache: KVCache,
        rows: torch.Tensor,
        rotations: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The hidden states (rows, hidden) behind all layers; the cache, which must have room, gets
        the rows' keys and values, and its length stays.

        :param rows: float32 (rows, hidden), overwritten.
        :param rotations: complex (rows, 1, pairs).
        :param mask: (rows, newest tokens), added to their scores; ``None``: a row sees those before.
        """
        count, capacity = len(rows), cache.capacity
        floats = self._library.work_floats(self._model, count, capacity)
        if floats > len(self._work):
            self._work = torch.empty(floats)
        rotations = rotations.contiguous()
        mask = None if mask is None else mask.float().contiguous()
        self._library.run_pass(
            self._model,
            _Pass(
                rows.data_ptr(), count, cache.length, capacity, cache.keys[0].stride(1), rotations.data_ptr(),
                _addresses(cache.keys), _addresses(cache.values),
                None if mask is None else mask.data_ptr(), 0 if mask is None else mask.shape[1],
                self._work.data_ptr(),
            ),
            self._level,
        )  # fmt: skip
        return rows


def _addresses(tensors: Sequence[torch.Tensor]) -> Any:
    array = (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
    return ctypes.cast(array, ctypes.c_void_p)


def fits(size: int, weights: int) -> bool:
    """Whether a model with heads of this size and this many weights is computed here."""
    return level() is not None and size % _SIZE_STEP == 0 and weights <= LARGEST_MODEL
