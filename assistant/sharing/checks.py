"""What an adapter from somebody else must be before any of its files is used: few regular files of
limited size, plain LoRA weights, and evidence of the right types."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store, provenance
from git_copilot.assistant.sharing.adapter_commits import (
    FILES,
    MAX_TREE,
    NEEDED,
    REFUSED_HINT,
    REGULAR,
    AdapterCommit,
)
from git_copilot.assistant.sharing.page_check import is_inert
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.objects import ObjectReader
from git_copilot.index.git.repository import GitRepository

MIB = 1024 * 1024
MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.+@:-]*(/[\w.+@:-]+)*", re.ASCII)
_OID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_LORA_TENSOR = re.compile(r"\.lora_(A|B|embedding_A|embedding_B)\b")
_PATH = re.compile(r"[/~\\]|[A-Za-z]:[/\\]|\w+://")
# Of peft's configuration, the texts, lists and tables that plain LoRA needs. Any other one changes
# what is loaded (modules_to_save, auto_mapping) or how (eva_config, megatron_config).
_PLAIN = frozenset(
    {
        "alpha_pattern", "base_model_name_or_path", "bias", "layers_pattern", "layers_to_transform",
        "megatron_core", "peft_type", "peft_version", "rank_pattern", "target_modules", "task_type",
    }
)  # fmt: skip
_FLAGS = frozenset({"fan_in_fan_out", "inference_mode", "init_lora_weights", "use_rslora"})
_VALUES = {"peft_type": ("LORA",), "bias": ("none",), "task_type": ("CAUSAL_LM",)}


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest files that are accepted, in bytes."""

    weights: int = 256 * MIB
    other: int = 16 * MIB

    def of(self, name: str) -> int:
        return self.weights if name == adapter_store.WEIGHTS else self.other


DEFAULT_LIMITS = Limits()


def refusal(adapter: str, why: str, hint: str = REFUSED_HINT) -> CopilotError:
    """The error for an adapter that fails a check."""
    return CopilotError(f"the adapter {adapter} is refused: {why}", hint)


def tree_files(
    repo: GitRepository, commit: AdapterCommit, limits: Limits = DEFAULT_LIMITS
) -> dict[str, str]:
    """The object id of each file of an adapter's commit, by name. No file is read.

    :raises CopilotError: a name, a kind or a size is not that of an adapter's file.
    """
    reader = repo.reader()
    if reader.blob_sizes([commit.tree]).get(commit.tree, MAX_TREE + 1) > MAX_TREE:
        raise refusal(commit.id, "its list of files is missing or too long")
    found: dict[str, str] = {}
    for name, mode, oid, size in _listed(reader, commit.tree):
        if name not in FILES:
            raise refusal(commit.id, f"it has a file {name!r} that no adapter has")
        if mode != REGULAR or name in found:
            raise refusal(commit.id, f"its {name} is not one regular file (mode {mode})")
        if not size.isdigit():
            raise refusal(commit.id, f"its {name} is missing", "run the command again")
        if int(size) > limits.of(name):
            most = limits.of(name) / MIB
            raise refusal(commit.id, f"its {name} is larger than {most:.3g} MiB")
        found[name] = oid
    for name in NEEDED:
        if name not in found:
            raise refusal(commit.id, f"it lacks {name}")
    return found


def _listed(reader: ObjectReader, tree: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, mode, object id and size of each entry; the size of a missing file is no number."""
    for record in reader.run("ls-tree", "-z", "-l", "--full-tree", tree).split(b"\0"):
        if record:
            facts, _, name = record.partition(b"\t")
            mode, _, oid, size = facts.decode().split()
            yield os.fsdecode(name), mode, oid, size


def check_folder(folder: Path, adapter: str) -> str:
    """Check the files of an adapter, before it is shared as well as after it was received.

    :return: the name of its base model.
    :raises CopilotError: they are not those of a plain LoRA adapter, with what belongs to it.
    """
    adapter_store.check_files(folder, adapter)
    base_model = check_evidence(_object(folder / adapter_store.EVIDENCE, adapter), adapter)
    _check_config(_object(folder / adapter_store.CONFIG, adapter), adapter, base_model)
    _check_tensors(folder / adapter_store.WEIGHTS, adapter)
    if not all(_OID.fullmatch(oid) for oid in adapter_store.read_commits(folder)):
        raise refusal(adapter, f"its {adapter_store.COMMITS} lists what is not a commit's id")
    if (folder / provenance.FILE).exists() and not _holes_are_valid(folder):
        raise refusal(adapter, f"its {provenance.FILE} is damaged")
    page = folder / adapter_store.PAGE
    if page.exists() and not is_inert(page.read_bytes()):
        raise refusal(adapter, f"its {page.name} is not a page of git-copilot")
    return base_model


def _holes_are_valid(folder: Path) -> bool:
    holes = provenance.read_training_holes(folder)
    return holes is not None and all(
        _OID.fullmatch(hole.commit) and _OID.fullmatch(hole.blob) for hole in holes
    )


def _object(path: Path, adapter: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise refusal(adapter, f"its {path.name} cannot be read") from exc
    if not isinstance(found, dict):
        raise refusal(adapter, f"its {path.name} is not an object")
    return found


def check_evidence(evidence: Mapping[str, Any], adapter: str) -> str:
    """Check those parts of an adapter's report that others rely on.

    :return: the name of its base model.
    :raises CopilotError: one has the wrong type, or the model is one machine's path.
    """
    name = evidence.get("base_model")
    if not isinstance(name, str) or len(name) > 200 or not MODEL_NAME.fullmatch(name):
        raise refusal(
            adapter,
            f"its base model {str(name)[:80]!r} is not a name that other machines have",
            "train with a model of `git copilot model list`, or with a hub name",
        )
    gain, spans = evidence.get("delta_em"), evidence.get("commits")
    for key, valid in (
        ("promoted", isinstance(evidence.get("promoted"), bool)),
        ("delta_em", gain is None or (isinstance(gain, int | float) and abs(gain) <= 100)),
        ("commits", spans is None or _are_spans(spans)),
    ):
        if not valid:
            raise refusal(adapter, f"{key} in its {adapter_store.EVIDENCE} has the wrong type")
    return name


def _are_spans(found: object) -> bool:
    """Whether these are lists of commits by name. Their ids become arguments of git."""
    return isinstance(found, dict) and all(
        isinstance(span, list) and all(isinstance(c, str) and _OID.fullmatch(c) for c in span)
        for span in found.values()
    )


def _check_config(config: Mapping[str, Any], adapter: str, base_model: str) -> None:
    """:raises CopilotError: it is more than a low-rank change of layers of its base model."""
    if config.get("peft_type") != "LORA":
        raise refusal(adapter, "its peft_type is not LORA")
    for key, value in config.items():
        if not value or (isinstance(value, int | float) and value is not True):
            continue
        if value is True and key in _FLAGS:
            continue
        if key not in _PLAIN or value not in _VALUES.get(key, (value,)):
            raise refusal(adapter, f"its {adapter_store.CONFIG} sets {key[:80]!r}")
        if any(_PATH.match(text) for text in _texts(value)):
            raise refusal(adapter, f"{key!r} in its {adapter_store.CONFIG} is a path")
    if config.get("base_model_name_or_path") not in (None, base_model):
        raise refusal(adapter, f"its {adapter_store.CONFIG} is for another base model")
    if config.get("megatron_core") not in (None, "megatron.core"):
        raise refusal(adapter, f"its {adapter_store.CONFIG} names a module to import")
    alpha = config.get("lora_alpha", 1)
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise refusal(adapter, "its lora_alpha is not a number")
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= 4096:
        raise refusal(adapter, "its rank is not a whole number from 1 to 4096")


def _texts(value: object) -> Iterator[str]:
    """All texts within a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value:
            yield from _texts(each)
        if isinstance(value, dict):
            yield from _texts(list(value.values()))


def _check_tensors(path: Path, adapter: str) -> None:
    """:raises CopilotError: there are weights besides those of LoRA."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        names = set(json.loads(file.read(length))) - {"__metadata__"}
    for name in sorted(names):
        if not _LORA_TENSOR.search(name):
            raise refusal(adapter, f"its weights include {name[:80]!r}, which is not LoRA's")
