"""Fill-in-the-middle formats, found from a tokenizer's own special tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FimFormat:
    """How a model family was taught to fill in the middle.

    ``order`` is ``"psm"`` (prefix, suffix, middle) or ``"spm"`` (suffix, prefix, middle).
    ``prefix``, ``suffix`` and ``middle`` are the control tokens; ``middle`` may be empty where
    the family writes none. ``ends`` are tokens that end a completion. ``repo`` and ``file``
    head a repository and a file where the family has a repository-level format.
    """

    family: str
    order: str
    prefix: str
    suffix: str
    middle: str
    ends: tuple[str, ...]
    repo: str = ""
    file: str = ""
    begin: str = ""


# The first entry whose tokens all exist in the vocabulary is taken; entries that share tokens
# differ in the repository-level ones, so the richer comes first.
FORMATS: tuple[FimFormat, ...] = (
    # Ours (seed.py): nothing between prefix and middle, so that a model which was never taught to
    # fill in the middle only goes on writing, and the cache survives each key.
    FimFormat(
        "git-copilot", "spm", "<|copilot_prefix|>", "<|copilot_suffix|>", "", ("<|endoftext|>",),
        "<repo_name>", "<file_sep>",
    ),
    FimFormat(
        "qwen2.5-coder", "psm", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|im_end|>"),
        "<|repo_name|>", "<|file_sep|>",
    ),
    FimFormat(
        "codegemma", "psm", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|file_separator|>", "<eos>"), "", "<|file_separator|>", "<bos>",
    ),
    FimFormat(
        "granite-4", "psm", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|end_of_text|>",),
    ),
    FimFormat(
        "mellum", "spm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>", "<fim_pad>"), "<reponame>", "<filename>",
    ),
    FimFormat(
        "starcoder2", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>", "<file_sep>"), "<repo_name>", "<file_sep>",
    ),
    FimFormat(
        "starcoder", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>",), "<reponame>", "<filename>",
    ),
    FimFormat(
        "granite", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", ("<|endoftext|>",),
    ),
    FimFormat(
        "santacoder", "psm", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", ("<|endoftext|>",),
    ),
    FimFormat(
        "seed-coder", "spm", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>",
        ("<[end▁of▁sentence]>",), "", "", "<[begin▁of▁sentence]>",
    ),
    FimFormat(
        "deepseek-coder", "psm", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>",
        ("<｜end▁of▁sentence｜>", "<|EOT|>"), "", "", "<｜begin▁of▁sentence｜>",
    ),
    FimFormat(
        "codellama", "psm", "▁<PRE>", "▁<SUF>", "▁<MID>", ("▁<EOT>", "</s>"), "", "", "<s>",
    ),
    FimFormat("codestral", "spm", "[PREFIX]", "[SUFFIX]", "", ("</s>",), "", "", "<s>"),
)  # fmt: skip


def detect_fim(vocabulary: Mapping[str, int], family: str = "") -> FimFormat | None:
    """The format that a tokenizer's vocabulary shows, or ``None`` for a left-to-right model.

    :param family: take this family instead of the first that fits (Mellum and StarCoder share
        their tokens but not their order; a model's name tells).
    """
    for fim in FORMATS:
        if family and fim.family != family:
            continue
        if not family and fim.family == "mellum":
            continue  # same tokens as StarCoder: only by name
        needed = [fim.prefix, fim.suffix, fim.middle, fim.repo, fim.file, fim.begin]
        if all(token in vocabulary for token in needed if token) and any(
            end in vocabulary for end in fim.ends
        ):
            return fim
    return None


def family_of(model_name: str) -> str:
    """The family that only a model's name can tell; empty when the tokens are enough."""
    return "mellum" if "mellum" in model_name.lower() else ""
