"""Whole passages as training examples: plain ones and rearranged ones, every token with loss."""

from __future__ import annotations

import pytest

from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.sequences import FIM_RATE, SPM_RATE, sequence_examples
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.windows import SEQUENCE
from tests.support.model_families import FAMILIES, save_family

TEXT = "def area(width, height):\n    return width * height\n" * 3


@pytest.fixture(scope="module", name="tokenizers")
def every_tokenizer(tmp_path_factory):
    found = {}
    for family in FAMILIES:
        folder = save_family(family, tmp_path_factory.mktemp(family.family))
        found[family.family] = TextTokenizer.load(folder, family.name)
    return found


def cut(number, text=TEXT, suffix="more\n"):
    hole = Hole("c", f"blob{number}", "m.py", 0, len(text), SEQUENCE, "", 0, "python")
    return Cut(hole, "before\n", text, suffix)


def ids_of(example):
    return [*example.prompt_ids, *example.middle_ids]


def take_apart(tokenizer, ids):
    """The parts of a rearranged sequence by the control token before them; the text in order."""
    fim = tokenizer.fim
    names = {tokenizer.control(n): n for n in (fim.prefix, fim.suffix, fim.middle) if n}
    ids = list(ids)[len(tokenizer.begin_ids) :]
    assert ids.pop() == tokenizer.end_id
    parts, order = {}, []
    for token in ids:
        if token in names:
            order.append(names[token])
            parts[order[-1]] = []
        else:
            parts[order[-1]].append(token)
    texts = {name: tokenizer.decode(found) if found else "" for name, found in parts.items()}
    return order, [texts.get(name, "") for name in (fim.prefix, fim.middle, fim.suffix)]


@pytest.mark.parametrize("family", [family.family for family in FAMILIES])
def test_a_rearranged_sequence_has_the_whole_text_in_an_order_of_its_family(tokenizers, family):
    tokenizer = tokenizers[family]
    fim = tokenizer.fim
    examples = sequence_examples(tokenizer, [cut(i) for i in range(60)], 4096, seed=0)
    rearranged = [ids for ids in map(ids_of, examples) if tokenizer.control(fim.suffix) in ids]
    assert 15 < len(rearranged) < 45
    for ids in rearranged:
        order, (before, middle, behind) = take_apart(tokenizer, ids)
        if order[0] == fim.prefix and order[1] == fim.suffix and not before:
            # With the suffix first the prefix is part of the last text.
            assert middle + behind == TEXT
        else:
            assert before + middle + behind == TEXT


def test_families_trained_with_both_orders_get_both_and_others_their_own(tokenizers):
    def suffix_first(family):
        tokenizer = tokenizers[family]
        p, s = tokenizer.control(tokenizer.fim.prefix), tokenizer.control(tokenizer.fim.suffix)
        found = []
        for example in sequence_examples(tokenizer, [cut(i) for i in range(400)], 4096, seed=1):
            ids = ids_of(example)
            if s in ids:
                found.append(ids.index(s) < ids.index(p) or ids[ids.index(p) + 1] == s)
        return sum(found) / len(found), len(found) / 400

    share, rearranged = suffix_first("starcoder2")
    assert abs(share - SPM_RATE) < 0.1 and abs(rearranged - FIM_RATE) < 0.1
    assert suffix_first("git-copilot")[0] == 1.0
    # An empty prefix looks as if the suffix were first: at most a few.
    assert suffix_first("qwen2.5-coder")[0] < 0.1


def test_every_token_but_the_first_has_loss(tokenizers):
    for example in sequence_examples(tokenizers["git-copilot"], [cut(i) for i in range(8)], 99, 0):
        assert len(example.prompt_ids) == 1 and example.open_tokens == 0
        assert example.size == len(example.middle_ids) + 1 <= 99


def test_a_plain_sequence_ends_where_the_file_does(tokenizers):
    tokenizer = tokenizers["starcoder2"]
    for suffix, ends in (("", True), ("\n  \n", True), ("more\n", False)):
        examples = sequence_examples(
            tokenizer, [cut(i, suffix=suffix) for i in range(20)], 4096, seed=0
        )
        plain = [
            ids for e in examples if tokenizer.control("<fim_suffix>") not in (ids := ids_of(e))
        ]
        assert plain
        for ids in plain:
            assert (ids[-1] == tokenizer.end_id) is ends
            assert tokenizer.decode(ids) == TEXT


def test_a_sequence_that_is_too_long_loses_its_beginning(tokenizers):
    tokenizer = tokenizers["git-copilot"]
    long = TEXT * 40
    for example in sequence_examples(tokenizer, [cut(i, text=long) for i in range(12)], 200, 0):
        assert example.size <= 200


def test_the_same_seed_gives_the_same_sequences(tokenizers):
    tokenizer = tokenizers["starcoder2"]
    cuts = [cut(i) for i in range(10)]
    first, again, other = (
        [ids_of(e) for e in sequence_examples(tokenizer, cuts, 300, seed)] for seed in (3, 3, 4)
    )
    assert first == again != other
