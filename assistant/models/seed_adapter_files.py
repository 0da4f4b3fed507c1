"""The embedded default's own adapter: SmolLM2-135M taught to fill in the middle.

Two spare tokens of SmolLM2's vocabulary become the sentinels of the format ``git-copilot``
(fim.py). Their embeddings stay as they are: the adapter's first layers learn what they mean.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

SENTINELS = {"<jupyter_start>": "<|copilot_suffix|>", "<jupyter_text>": "<|copilot_prefix|>"}
TOKENIZER = "tokenizer.json"
ADAPTER = "seed_adapter"


def rename_sentinels(folder: Path) -> None:
    """Give the spare tokens of a SmolLM2 tokenizer in ``folder`` their new names.

    :raises ValueError: the tokenizer has no such tokens.
    """
    path = folder / TOKENIZER
    facts = json.loads(path.read_text("utf-8"))
    vocabulary = facts["model"]["vocab"]
    renamed = set()
    for old, new in SENTINELS.items():
        if old not in vocabulary:
            continue
        vocabulary[new] = vocabulary.pop(old)
        for token in facts["added_tokens"]:
            if token["content"] == old:
                token["content"] = new
        renamed.add(new)
    if renamed != set(SENTINELS.values()):
        raise ValueError(f"{path} has no spare tokens to rename")
    path.write_text(json.dumps(facts, ensure_ascii=False), "utf-8")


def prepare_base(source: Path, target: Path) -> None:
    """Copy a pulled SmolLM2 to ``target`` with the sentinels named."""
    shutil.copytree(source, target)
    rename_sentinels(target)


def make_seeded(source: Path, target: Path, adapter: Path | None = None) -> None:
    """Write SmolLM2 with the seed adapter merged into it to ``target``, and the weights of
    copying that belong to it.

    The low-rank product is added in float32 and rounded to bf16 once.

    :param source: the folder of the pulled base model.
    :param adapter: a folder that peft loads, instead of the one that the package carries.
    :raises ModelError: the base or the adapter cannot be read.
    """
    import torch

    from git_copilot.assistant.backend.loading import apply_adapter, load_model
    from git_copilot.assistant.decoding.copy_weights import NAME

    prepare_base(source, target)
    folder = adapter or adapter_folder()
    model = apply_adapter(load_model(source, dtype=torch.float32), folder)
    model.to(torch.bfloat16).save_pretrained(target)
    if (folder / NAME).exists():
        shutil.copyfile(folder / NAME, target / NAME)


def with_new_copy_weights(source: Path, target: Path) -> None:
    """Copy a seeded model to ``target`` with the copy weights that the package carries."""
    from git_copilot.assistant.decoding.copy_weights import NAME
    from git_copilot.assistant.models.catalogue import READY_MARK

    shutil.copytree(source, target, ignore=shutil.ignore_patterns(READY_MARK))
    shutil.copyfile(adapter_folder() / NAME, target / NAME)


def is_outdated(folder: Path) -> bool:
    """Whether the seeded model in ``folder`` copies by other weights than the package carries."""
    from git_copilot.assistant.decoding.copy_weights import NAME

    pulled = folder / NAME
    return not pulled.exists() or pulled.read_bytes() != (adapter_folder() / NAME).read_bytes()


def adapter_folder() -> Path:
    """Where the package carries the seed adapter: a folder that peft loads."""
    return Path(__file__).resolve().parents[1] / ADAPTER
