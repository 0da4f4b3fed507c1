"""A base model with an adapter merged into it, as a folder of transformers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

# Beside the weights and the configuration, which transformers writes.
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
    "added_tokens.json", "chat_template.jinja", "tokenizer.model",
)  # fmt: skip


def load_merged(base: Path, adapter: Path | None) -> Any:
    """The model in float32, so that merging does not round twice; ``adapter`` may be ``None``.

    :raises ModelError: one of both cannot be read, or they do not fit together.
    """
    import torch

    from git_copilot.assistant.backend.loading import apply_adapter, load_model

    model = load_model(base, dtype=torch.float32)
    return model if adapter is None else apply_adapter(model, adapter)


def export_merged(base: Path, adapter: Path | None, target: Path) -> None:
    """Write a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load, with weights of the
    base model's own type.

    :param target: a folder that is created.
    :raises ModelError: as :func:`load_merged`.
    :raises OSError: it cannot be written.
    """
    import torch
    from transformers import AutoConfig

    stored = getattr(AutoConfig.from_pretrained(base), "dtype", None)
    model = load_merged(base, adapter).to(stored or torch.float32)
    target.mkdir()
    model.save_pretrained(target)
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)
