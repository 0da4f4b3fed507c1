"""Token healing for the examples of an evaluation, one by one and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.token_healing import heal_prompt
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

if TYPE_CHECKING:
    import torch


def heal(tokenizer: TextTokenizer, example: Example) -> tuple[Example, str]:
    """:func:`heal_prompt` for an example: the text of the token moves to the front of the middle."""
    prompt, forced_prefix = heal_prompt(tokenizer, example.prompt, example.prefix)
    if prompt is example.prompt:
        return example, forced_prefix
    middle = (*tokenizer.encode(forced_prefix + example.middle), tokenizer.end_id)
    return replace(example, prompt_ids=prompt.ids, middle_ids=middle, prompt=prompt), forced_prefix


class ForcedPrefixes:
    """Keeps greedy decoding to ``texts``, with which the completions of a batch must begin."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        from git_copilot.assistant.decoding.sampling import PrefixIndex

        self.texts: Sequence[str] = ()
        self._prefix_index = PrefixIndex(tokenizer)

    def pick(self, logits: torch.Tensor, written: Sequence[str]) -> list[int]:
        """The best token of each row of ``logits`` (rows, vocabulary) that fits."""
        tokens: list[int] = logits.argmax(dim=-1).tolist()
        for row, (forced_prefix, text) in enumerate(zip(self.texts, written, strict=True)):
            if len(text) < len(forced_prefix):
                fitting = self._prefix_index.tokens_for(
                    forced_prefix[len(text) :], logits.shape[-1]
                )
                if len(fitting):
                    tokens[row] = int(fitting[logits[row].cpu()[fitting].argmax()])
        return tokens
