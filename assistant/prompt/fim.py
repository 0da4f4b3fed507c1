"""Fill-in-the-middle formats, detected from a tokenizer's special tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FimFormat:
    """The format in which a model family was trained to fill in the middle.

    ``order`` is ``"psm"`` (prefix, suffix, middle) or ``"spm"`` (suffix, prefix, middle).
    ``prefix``, ``suffix`` and ``middle`` are the control tokens; ``middle`` is empty where the
    family has none. ``ends`` are tokens that end a completion. ``repo`` and ``file`` head a
    repository and a file where the family has a repository-level format; ``file_mark`` is the plain
    text that heads a file in families that use text. ``begin`` starts every prompt. With ``inside``
    the head of the file stands behind the prefix token, as part of the text, else first of all;
    families without a file token always have it inside. ``separates``: ``file`` stands between
    files and not before the first.
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
    file_mark: str = ""
    inside: bool = False
    separates: bool = False

    @property
    def controls(self) -> tuple[str, ...]:
        """Every control token that a prompt may contain."""
        names = (self.begin, self.repo, self.file, self.prefix, self.suffix, self.middle)
        return tuple(name for name in names if name)


# The first entry whose tokens all exist in the vocabulary is used; entries that share tokens differ
# in the repository-level ones, so the richer one comes first. Entries that only a model's name
# distinguishes are in BY_NAME.
FORMATS: tuple[FimFormat, ...] = (
    # Ours (seed_adapter_files.py): nothing between prefix and middle, so that a model without
    # fill-in-the-middle training just continues the text, and the cache survives each key.
    FimFormat(
        "git-copilot", "spm", "<|copilot_prefix|>", "<|copilot_suffix|>", "", ("<|endoftext|>",),
        "<repo_name>", "<file_sep>",
    ),
    # Qwen2.5-Coder's report (arXiv 2409.12186), figure 4: the name is before the prefix.
    FimFormat(
        "qwen2.5-coder", "psm", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|im_end|>"),
        "<|repo_name|>", "<|file_sep|>",
    ),
    # CodeGemma's report (arXiv 2406.11409): the path, a line end, <|fim_prefix|>. That the
    # separator is between files and not before the first is inferred from its name and that
    # example.
    FimFormat(
        "codegemma", "psm", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|file_separator|>", "<eos>"), "", "<|file_separator|>", "<bos>", separates=True,
    ),
    # As in editors' templates for granite-4 (not seen in IBM's own documents): file level only.
    FimFormat(
        "granite-4", "psm", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|end_of_text|>",),
    ),
    # JetBrains' model card of Mellum-4b-base: names first, then the suffix.
    FimFormat(
        "mellum", "spm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>", "<fim_pad>"), "", "<filename>",
    ),
    # Granite code models (arXiv 2405.04324) have StarCoder's tokenizer; templates
    # for them fill in within one file, without names (not seen in IBM's own documents).
    FimFormat(
        "granite", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>", "<|end_of_text|>"),
    ),
    # StarCoder2's report (arXiv 2402.19173), section 5.1: <file_sep><fim_prefix>path, \n, code.
    FimFormat(
        "starcoder2", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>", "<file_sep>"), "<repo_name>", "<file_sep>", inside=True,
    ),
    # StarCoder (arXiv 2305.06161) and tiny_starcoder: <reponame>, <filename> and the code are one
    # text, from which the middle is taken. That they follow the prefix token is inferred from
    # that and from StarCoder2; no published example shows it.
    FimFormat(
        "starcoder", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
        ("<|endoftext|>",), "<reponame>", "<filename>", inside=True,
    ),
    # Models with these tokens and no others (StableCode and others).
    FimFormat("stable-code", "psm", "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
              ("<|endoftext|>", "<|end_of_text|>")),
    # SantaCoder's model card: hyphens.
    FimFormat(
        "santacoder", "psm", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", ("<|endoftext|>",),
    ),
    # Seed-Coder's report (arXiv 2506.03524): suffix, prefix, middle.
    FimFormat(
        "seed-coder", "spm", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>",
        ("<[end▁of▁sentence]>",), "", "", "<[begin▁of▁sentence]>",
    ),
    # DeepSeek-Coder's README: the cursor is a hole; each file is headed by its name as a comment.
    FimFormat(
        "deepseek-coder", "psm", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>",
        ("<｜end▁of▁sentence｜>", "<|EOT|>"), "", "", "<｜begin▁of▁sentence｜>", "#",
    ),
    # infilling_prompt_tokens() in meta-llama/codellama, llama/generation.py.
    FimFormat(
        "codellama", "psm", "▁<PRE>", "▁<SUF>", "▁<MID>", ("▁<EOT>", "</s>"), "", "", "<s>",
    ),
    # Order and heads of files as in continue.dev's template for Codestral.
    FimFormat("codestral", "spm", "[PREFIX]", "[SUFFIX]", "", ("</s>",), "", "", "<s>", "+++++ "),
)  # fmt: skip
# Families that share another's tokens, by the part of a model's name that identifies them.
BY_NAME = ("mellum", "granite")


def detect_fim(vocabulary: Mapping[str, int], family: str = "") -> FimFormat | None:
    """The format that a vocabulary has the tokens of, or ``None`` for a left-to-right model.

    :param family: use this family instead of the first that fits (Mellum and StarCoder share
        their tokens but not their order; a model's name distinguishes them).
    """
    for fim in FORMATS:
        if fim.family != family and (family or fim.family in BY_NAME):
            continue
        if all(token in vocabulary for token in fim.controls) and any(
            end in vocabulary for end in fim.ends
        ):
            return fim
    return detect_fim(vocabulary) if family in BY_NAME else None


def family_of(model_name: str) -> str:
    """The family where only a model's name identifies it; empty where the tokens are enough."""
    return next((family for family in BY_NAME if family in model_name.lower()), "")
