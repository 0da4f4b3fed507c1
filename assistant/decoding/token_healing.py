"""Token healing: the last token before the cursor is left to the model, its text is forced.

A cursor rarely stands on a token boundary: many vocabularies have one token for a line end and the
indentation after it, and a word that is being typed is rarely a token. A prompt that ends there is
unlike anything the model has seen (after microsoft/guidance).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.prompt.builder import Prompt, Tokenizer

# Behind these a longer token may have begun: in a word, white space or a quote. An operator or a
# bracket is nearly always a token by itself.
_OPEN = re.compile(r"[\w\s\"'`]\Z")


class TokenDecoder(Protocol):
    """The part of a tokenizer that healing needs."""

    def decode(self, ids: list[int]) -> str: ...


def heal_prompt(tokenizer: TokenDecoder, prompt: Prompt, prefix: str) -> tuple[Prompt, str]:
    """Take the last token off a prompt that ends with the text before the cursor.

    Only the last one, so that the key/value cache of the prompt before it stays valid.

    :param prefix: the text before the cursor.
    :return: the prompt, and the text with which its completion must begin: empty, with the prompt
        unchanged, where something stands between the cursor and the completion, or where no
        longer token can begin.
    """
    if prompt.forced_prefix or prompt.open_tokens <= 1:
        return prompt, prompt.forced_prefix
    text = tokenizer.decode([prompt.ids[-1]])
    if not _OPEN.search(text) or not prefix.endswith(text):
        return prompt, ""
    return replace(prompt, ids=prompt.ids[:-1], open_tokens=prompt.open_tokens - 1), text


def may_heal(settings: Settings) -> bool:
    """Whether the end of the text before the cursor may be generated again: a server cannot be
    forced to begin with it."""
    return settings.healing and not settings.endpoint


def heal_if_useful(
    tokenizer: Tokenizer, prompt: Prompt, prefix: str, settings: Settings
) -> tuple[Prompt, str]:
    """:func:`heal_prompt` where it is enabled and helps.

    A model taught to fill in the middle was taught to begin at the cursor: of HumanEval's single
    lines copilot-135m-v2 got 28.0% without and 26.0% with healing, and rarely ended with it. Half a
    word is healed for all models, in the prompt itself (token_boundary.py).
    """
    if not may_heal(settings) or tokenizer.fim is not None:
        return prompt, prompt.forced_prefix
    return heal_prompt(tokenizer, prompt, prefix)
