"""Text near the cursor is matched, and its continuation mixed into the model's probabilities."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.decoding.copy_model import CopyModel
from git_copilot.assistant.decoding.copy_source import (
    AFTER_CHARACTERS,
    BEFORE_CHARACTERS,
    CopySource,
)
from git_copilot.assistant.decoding.copy_weights import (
    LONGEST,
    NAME,
    CopyWeights,
    read_copy_weights,
)
from git_copilot.assistant.decoding.generation import CopyContext
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.types import Hole
from tests.support.copy_weights import HALF, NEVER, OTHER


def source(tokenizer, prefix, suffix="", nearby=(), weights=HALF, forced_prefix=""):
    context = CopyContext("own.py", prefix, suffix, tuple(nearby))
    return CopySource(CopyModel(tokenizer, weights, PrefixIndex(tokenizer)), context, forced_prefix)


def spelt(tokenizer, match):
    return {tokenizer.decode([t]): s for t, s in zip(match.tokens, match.shares, strict=True)}


def test_the_continuation_of_the_longest_match_is_proposed(tokenizer):
    text = "a = f(one, 1)\nb = f(one, 1)\nc = g(one, 2)\n"
    found = source(tokenizer, text + "d = f(one, ").match("")
    assert spelt(tokenizer, found) == {"1": 1.0}
    assert found.length >= 4
    short = source(tokenizer, text + "d = h(one, ").match("")
    assert spelt(tokenizer, short) == {"1": pytest.approx(2 / 3), "2": pytest.approx(1 / 3)}
    assert 0 < short.length < found.length


def test_the_match_includes_tokens_written_since_the_cursor(tokenizer):
    here = source(tokenizer, "x", "\n", [("cart.py", OTHER)])
    assert here.match("") is None
    follows = here.match("basket")
    assert spelt(tokenizer, follows) == {".": 0.5, "):": 0.5}
    longer = here.match("\n        return basket.")
    assert longer.length > follows.length
    assert spelt(tokenizer, longer) == {"s": 1.0}


def test_a_partial_word_matches_whole_words_only(tokenizer):
    text = "def subtotal(basket):\n    return basket\n"
    halves = source(tokenizer, text + "x = subto", "\n")
    whole = source(tokenizer, text + "x = subtotal", "\n")
    assert halves.match("tal") == dataclasses.replace(whole.match(""))


@pytest.mark.parametrize("begun", ["w", "wi", "wid", "widt"])
def test_a_partial_word_is_completed_as_it_occurs_elsewhere(tokenizer, begun):
    text = "a = shape.width_all\nb = shape.height\n"
    here = source(tokenizer, f"{text}c = shape.{begun}", "\n")
    assert len(tokenizer.encode("width")) == 1
    assert tokenizer.decode(here.draft("", 12)).startswith("width"[len(begun) :] + "_all")
    found = here.match("")
    assert sum(found.shares) == pytest.approx(1)
    assert here.origin(found.tokens[0]) == "own.py"
    assert source(tokenizer, f"{text}c = shape.{begun}x", "\n").match("") is None


def test_no_match_crosses_from_one_text_into_the_next(tokenizer):
    nearby = [("one.py", "bcdz"), ("two.py", "first")]
    assert source(tokenizer, "y = bcdz", "", nearby).match("") is None
    assert source(tokenizer, "y = bcd", "", nearby).match("") is not None


def test_no_newline_is_copied_before_an_existing_newline(tokenizer):
    text = "total(basket)\nmore()\n"
    closed = source(tokenizer, text + "total(basket)", "\nnext()\n")
    assert closed.match("") is None
    open_ = source(tokenizer, text + "total(basket)", "")
    assert all(name.startswith("\n") for name in spelt(tokenizer, open_.match("")))


def test_mixing_leaves_the_probability_of_the_end_token_unchanged(tokenizer):
    here = source(tokenizer, OTHER + "return basket.subtotal", "\n")
    torch.manual_seed(0)
    logits = torch.randn(len(tokenizer._vocabulary)) * 3
    before, after = torch.softmax(logits, 0), here.mix(logits, "").exp()
    assert float(after.sum()) == pytest.approx(1, abs=1e-5)
    end = tokenizer.end_id
    assert float(after[end]) == pytest.approx(float(before[end]), rel=1e-4)
    match = here.match("")
    assert match.length == LONGEST or match.length > 3
    for token, share in zip(match.tokens, match.shares, strict=True):
        going_on = 1 - float(before[sorted(tokenizer.end_ids)].sum())
        wanted = float(before[token]) / 2 + share * going_on / 2
        assert float(after[token]) == pytest.approx(wanted, rel=1e-4)


def test_without_a_match_the_logits_are_unchanged(tokenizer):
    logits = torch.randn(len(tokenizer._vocabulary))
    assert source(tokenizer, "", "").mix(logits, "") is logits
    assert source(tokenizer, "unseen_name", "\n").mix(logits, "") is logits


@pytest.mark.parametrize("prefix", ["unseen_name", OTHER + "return basket.subtotal"])
def test_the_ending_weight_raises_end_tokens_once_text_is_written(tokenizer, prefix):
    weights = dataclasses.replace(HALF, ending=1.0)
    torch.manual_seed(0)
    logits = torch.randn(len(tokenizer._vocabulary))
    kept, end = logits.clone(), tokenizer.end_id
    wanted = logits.clone()
    wanted[sorted(tokenizer.end_ids)] += 1
    # Not before anything is written: an empty answer is of no use.
    for written, expected in (("", logits), (" ", logits), ("x", wanted), (" x", wanted)):
        mixed = source(tokenizer, prefix, "\n", weights=weights).mix(logits, written)
        after = float(torch.softmax(mixed, 0)[end])
        assert after == pytest.approx(float(torch.softmax(expected, 0)[end]), rel=1e-4)
    healed = source(tokenizer, prefix, "\n", weights=weights, forced_prefix="turn")
    assert healed.mix(logits, "turn")[end] < healed.mix(logits, "turn x")[end]
    assert torch.equal(logits, kept)


def likely(tokenizer, **chances):
    """Logits (vocabulary,) of the texts of single tokens, or of the end."""
    logits = torch.full((len(tokenizer._vocabulary),), -30.0)
    for text, chance in chances.items():
        token = tokenizer.end_id if text == "end" else tokenizer.encode(NAMED[text])[0]
        logits[token] = math.log(chance)
    return logits


NAMED = {"newline": "\n", "indented": "\n    ", "word": "x"}


@pytest.mark.parametrize(
    ("margin", "end", "ends"), [(None, 0.4, False), (2.0, 0.08, False), (2.0, 0.12, True)]
)
def test_a_line_ends_unless_a_continuation_beats_the_margin(tokenizer, margin, end, ends):
    weights = dataclasses.replace(NEVER, line_end=margin)
    here = source(tokenizer, "x = bas", "\n", weights=weights)
    # What begins another line is taken together, whichever token it is.
    assert len({tokenizer.encode(t)[0] for t in NAMED.values()}) == 3
    rest = 1 - end - 0.05
    logits = likely(tokenizer, end=end, newline=rest / 2, indented=rest / 2, word=0.05)
    new, word = (tokenizer.encode(NAMED[name])[0] for name in ("newline", "word"))
    assert here.ends_line(new, logits, "ket") is ends
    assert not here.ends_line(word, logits, "ket")  # the line goes on
    assert not here.ends_line(new, logits, "")  # it was complete already
    assert not here.ends_line(new, logits, "ket(\n    1,")  # more lines were asked for


@pytest.mark.parametrize("prefix", ["def f():", "def f():\n    "])
def test_the_line_end_rule_does_not_cut_blocks(tokenizer, prefix):
    weights = dataclasses.replace(NEVER, line_end=math.inf)
    here = source(tokenizer, prefix, "\n", weights=weights)
    logits = likely(tokenizer, end=0.4, newline=0.6)
    assert not here.ends_line(tokenizer.encode("\n")[0], logits, "return 1")


def test_trust_is_the_logistic_of_the_weighted_features():
    weights = CopyWeights(1.0, -2.0, 0.5, 0.25, tuple(range(LONGEST)))
    value = 3 + math.log(0.5) - 2 * 0.7 + 0.5 * math.log(0.7) + 0.25 * math.log(0.2)
    assert weights.copied_part(4, 0.5, 0.7, 0.2) == pytest.approx(
        1 / (1 + math.exp(-value)), abs=1e-5
    )
    assert 0 < weights.copied_part(1, 1e-3, 0.0, 0.0) < 1


def test_only_the_part_of_a_huge_file_near_the_cursor_is_searched(tokenizer):
    far = "far_away(1)\n" + "pass\n" * BEFORE_CHARACTERS
    assert source(tokenizer, far + "far_away(").match("") is None
    behind = "\n" + "pass\n" * AFTER_CHARACTERS + "far_away(1)\n"
    assert source(tokenizer, "far_away(", behind).match("") is None


def test_text_already_in_the_prompt_is_not_copied(tokenizer):
    text = OTHER + "x = basket.subtotal"
    shown = CopyContext("own.py", text, "\nduty = 1\n", (("c.py", OTHER),), (len(text), 10))
    weights = CopyModel(tokenizer, HALF, PrefixIndex(tokenizer))
    assert CopySource(weights, dataclasses.replace(shown, nearby=())).match("") is None
    assert CopySource(weights, shown).match("").length > 4  # a snippet that the prompt has not
    half = dataclasses.replace(shown, nearby=(), shown=(len("x = basket.subtotal"), 0))
    assert CopySource(weights, half).match("").length > 4


def test_a_prompt_records_how_much_of_the_file_it_shows(tokenizer):
    text = "".join(f"LIMIT_{i} = {i}\n" for i in range(40))
    start = text.index("LIMIT_20")
    hole = Hole("c", "b", "m.py", start, start + 8, "line", "", 0, "python")
    example = make_example(tokenizer, cut_blob(text.encode(), hole), (), Budget(120, 0, 40))
    context = example.copy_context
    before, behind = context.shown
    assert 0 < before < len(context.prefix) and 0 < behind < len(context.suffix)
    prompt = tokenizer.decode(list(example.prompt_ids))
    assert context.prefix[-before:] in prompt and context.suffix[:behind] in prompt
    assert context.prefix[-before - 12 :] not in prompt


def test_copy_weights_are_read_from_the_model_folder(folder, tokenizer, tmp_path):
    assert read_copy_weights(folder) is None
    facts = {"share": 1, "sure": 2, "log_sure": 3, "agreed": 4, "lengths": [0.5] * LONGEST}
    (tmp_path / NAME).write_text(json.dumps(facts))
    assert read_copy_weights(tmp_path) == CopyWeights(1, 2, 3, 4, (0.5,) * LONGEST)
    (tmp_path / NAME).write_text(json.dumps({**facts, "line_end": 2, "token_reward": 1}))
    found = read_copy_weights(tmp_path)
    assert (found.line_end, found.token_reward) == (2.0, 1.0)
    wrong = (
        {"lengths": [1.0]},
        {"share": "x"},
        {"line_end": []},
        {"token_reward": ""},
        {"ending": None},
        {"new": 1},
    )
    for broken in ("{", "[]", "{}", "3", *(json.dumps({**facts, **each}) for each in wrong)):
        (tmp_path / NAME).write_text(broken)
        with pytest.raises(ModelError, match="cannot be read"):
            read_copy_weights(tmp_path)
