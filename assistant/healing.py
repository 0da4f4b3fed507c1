"""Token healing: the last token before the cursor is left to the model, its text is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from git_copilot.assistant.dataset import Example
from git_copilot.assistant.tokens import TextTokenizer


def heal(tokenizer: TextTokenizer, example: Example) -> tuple[Example, str]:
    """Leave the last token before the cursor to the model (after microsoft/guidance).

    A cursor seldom stands where tokens meet: many vocabularies write a line end and the
    indentation after it as one token, and a prompt that ends with the line end alone is like
    nothing that the model has seen.

    :return: the example with that token moved to the front of the middle, and its text, with
        which a completion must begin; empty, and the example as it was, where the prompt does not
        end with text.
    """
    lead = tokenizer.decode([example.prompt_ids[-1]])
    if example.open_tokens < 2 or not lead or not example.prefix.endswith(lead):
        return example, ""
    ids = example.prompt_ids[:-1]
    prompt = replace(example.prompt, ids=ids, open_tokens=example.open_tokens - 1)
    middle = (*tokenizer.encode(lead + example.middle), tokenizer.end_id)
    return replace(example, prompt_ids=ids, middle_ids=middle, prompt=prompt), lead


class Leads:
    """Keeps greedy decoding to ``texts``, with which the completions of a batch must begin."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.texts: Sequence[str] = ()
        self._tokenizer = tokenizer
        self._spellings: list[str] = []
        self._fitting: dict[str, torch.Tensor] = {}

    def pick(self, logits: torch.Tensor, written: Sequence[str]) -> list[int]:
        """The best token of each row of ``logits`` (rows, vocabulary) that fits."""
        tokens: list[int] = logits.argmax(dim=-1).tolist()
        for row, (lead, text) in enumerate(zip(self.texts, written, strict=True)):
            if len(text) < len(lead):
                fitting = self._fit(lead[len(text) :], logits.shape[-1])
                tokens[row] = int(fitting[logits[row].cpu()[fitting].argmax()])
        return tokens

    def _fit(self, wanted: str, size: int) -> torch.Tensor:
        """Ids of the tokens that begin with the text, or write its beginning."""
        if not self._spellings:
            self._spellings = [self._tokenizer.decode([i]) for i in range(size)]
        if wanted not in self._fitting:
            found = [
                i
                for i, text in enumerate(self._spellings)
                if text and (text.startswith(wanted) or wanted.startswith(text))
            ]
            self._fitting[wanted] = torch.tensor(found)
        return self._fitting[wanted]
