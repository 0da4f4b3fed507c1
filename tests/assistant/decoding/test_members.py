"""Names that are known to exist are likelier where one is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from git_copilot.assistant.decoding.copy_model import CopyModel
from git_copilot.assistant.decoding.copy_source import CopySource
from git_copilot.assistant.decoding.generation import CopyContext, Members
from git_copilot.assistant.decoding.sampling import PrefixIndex
from tests.support.copy_weights import NEVER

LIKELIER = replace(NEVER, member=4.0)


def raised(
    tokenizer, written="", begun="", forced_prefix="", weights=LIKELIER, names=("width", "height")
):
    """The texts of the tokens that are made likelier behind ``written``."""
    context = CopyContext("own.py", f"x = shape.{begun}", "\n", members=Members(names, begun))
    model = CopyModel(tokenizer, weights, PrefixIndex(tokenizer))
    logits = torch.zeros(tokenizer.size)
    mixed = CopySource(model, context, forced_prefix).mix(logits, written)
    assert not logits.any()  # they are not changed themselves
    found = torch.nonzero(mixed > 1).flatten().tolist()
    return {tokenizer.decode([token]) for token in found}


@pytest.mark.parametrize(
    ("written", "begun", "forced_prefix", "starts"),
    [
        ("", "", "", ["width", "height"]),
        ("wid", "", "", ["th"]),
        ("", "he", "", ["ight"]),
        ("he", "he", "he", ["ight"]),  # the beginning is written again
        ("width", "", "", []),  # whole
        ("width.", "", "", []),
        ("other", "", "", []),
    ],
)
def test_tokens_that_continue_a_known_name(tokenizer, written, begun, forced_prefix, starts):
    found = raised(tokenizer, written, begun, forced_prefix)
    assert len(found) == len(starts)
    assert all(any(rest.startswith(text) for rest in starts) for text in found)


def test_without_a_weight_or_names_nothing_changes(tokenizer):
    assert raised(tokenizer, weights=NEVER) == set()
    assert raised(tokenizer, names=()) == set()
