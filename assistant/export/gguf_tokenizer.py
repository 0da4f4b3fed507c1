"""The tokenizer of a model as keys of a GGUF file, for byte-level BPE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError

# What splits text before BPE, by how llama.cpp calls it. Its names are those of models.
BYTE_LEVEL, DIGITS, QWEN2 = "gpt-2", "smollm", "qwen2"
_QWEN2_PATTERN = r"\p{N}| ?[^\s\p{L}\p{N}]+"


def write_tokenizer(writer: Any, folder: Path, vocabulary: int) -> None:
    """Add a tokenizer to a file of gguf's ``GGUFWriter``.

    :param folder: of the model.
    :param vocabulary: rows of the model's embeddings; unused ones get names.
    :raises CopilotError: it is of a kind that llama.cpp would read otherwise.
    """
    from gguf import TokenType

    facts = _read(folder)
    names: dict[int, str] = {number: name for name, number in facts["model"]["vocab"].items()}
    kinds = dict.fromkeys(names, TokenType.NORMAL)
    for added in facts.get("added_tokens", []):
        names[added["id"]] = added["content"]
        kinds[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    size = max(vocabulary, max(names) + 1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer(facts.get("pre_tokenizer")))
    writer.add_token_list([names.get(i, f"[PAD{i}]") for i in range(size)])
    writer.add_token_types([kinds.get(i, TokenType.UNUSED) for i in range(size)])
    writer.add_token_merges([
        merge if isinstance(merge, str) else " ".join(merge) for merge in facts["model"]["merges"]
    ])  # fmt: skip
    _write_special(writer, folder, names)


def pre_tokenizer(facts: dict[str, Any] | None) -> str:
    """How llama.cpp calls a pre-tokenizer of `tokenizer.json`. Pure.

    :raises CopilotError: it is none of those known here.
    """
    parts = facts.get("pretokenizers", [facts]) if facts else []
    kinds = [part["type"] for part in parts]
    byte_level = [part for part in parts if part["type"] == "ByteLevel"]
    if byte_level and byte_level[0].get("add_prefix_space"):
        kinds.append("a space before the text")
    if kinds == ["ByteLevel"] and parts[0].get("use_regex", True):
        return BYTE_LEVEL
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits"):
        return DIGITS
    if kinds == ["Split", "ByteLevel"] and _QWEN2_PATTERN in parts[0]["pattern"].get("Regex", ""):
        return QWEN2
    raise CopilotError(
        f"a tokenizer with {', '.join(kinds) or 'no pre-tokenizer'} is not known here",
        "export with `--to transformers` and convert that with llama.cpp's convert_hf_to_gguf.py",
    )


def _read(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        kind = facts["model"]["type"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CopilotError(
            f"{folder.name} has no tokenizer.json that can be read", "pull the model again"
        ) from exc
    if kind != "BPE" or facts.get("normalizer") not in (None, {"type": "NFC"}):
        raise CopilotError(
            f"the tokenizer of {folder.name} is no byte-level BPE ({kind})",
            "export with `--to transformers` and convert that with llama.cpp's"
            " convert_hf_to_gguf.py",
        )
    return dict(facts)


def _write_special(writer: Any, folder: Path, names: dict[int, str]) -> None:
    """The ids that have a meaning. The end of a completion is the end of text."""
    tokenizer = TextTokenizer.load(folder)
    numbers = {name: number for number, name in names.items()}
    writer.add_eos_token_id(tokenizer.end_id)
    writer.add_bos_token_id(tokenizer.begin_ids[0] if tokenizer.begin_ids else tokenizer.end_id)
    writer.add_add_bos_token(bool(tokenizer.begin_ids))
    writer.add_pad_token_id(tokenizer.end_id)
    fim = tokenizer.fim
    if fim is None:
        return
    for key, name in (("pre", fim.prefix), ("suf", fim.suffix), ("mid", fim.middle)):
        if name and name in numbers:
            writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", numbers[name])
