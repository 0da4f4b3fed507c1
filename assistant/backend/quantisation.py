"""Whether a model is trained with its weights in four bits (QLoRA; Dettmers et al. 2023,
arXiv 2305.14314): large models on a GPU whose memory their 16-bit weights would fill."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import torch

from git_copilot.index.core.errors import ModelError

AUTO, ON = "auto", "on"
# Weights in 16 bits that take more than this part of a GPU's memory leave too little for training.
LARGE = 1 / 4
# peft imports bitsandbytes, which on a CPU warns of kernels that it does not find.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def trains_in_four_bits(wanted: str, folder: Path, device: str) -> bool:
    """Whether the model in ``folder`` is loaded in four bits to train an adapter.

    :param wanted: ``copilot.qlora``: auto, on or off.
    :param device: where it is trained.
    :raises ModelError: it is wanted, and bitsandbytes is not installed.
    """
    there = importlib.util.find_spec("bitsandbytes") is not None
    if wanted == ON and not there:
        raise ModelError(
            "copilot.qlora is on, and bitsandbytes is not installed",
            "install it with `pip install bitsandbytes`, or set copilot.qlora to auto",
        )
    if wanted != AUTO or device != "cuda":
        return wanted == ON
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    memory = torch.cuda.get_device_properties(0).total_memory
    return there and size > LARGE * memory


def four_bit_config(dtype: torch.dtype) -> Any:
    """The configuration that transformers loads such a model with: NF4 with double quantisation.

    :param dtype: in which its layers compute.
    """
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
