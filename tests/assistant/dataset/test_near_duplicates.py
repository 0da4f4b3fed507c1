"""Near-duplicates found by MinHash and the index equal those of comparing all pairs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.assistant.dataset.near_duplicates import (
    SHINGLE,
    THRESHOLD,
    NearIndex,
    jaccard,
    near_duplicates,
    shingles,
    tokens,
)

WORDS = st.sampled_from([f"w{i}" for i in range(40)])


@st.composite
def collections(draw):
    """Pieces of 0 to 40 tokens; many are copies of others with a few tokens changed."""
    pieces = draw(st.lists(st.lists(WORDS, max_size=40), min_size=1, max_size=8))
    for _ in range(draw(st.integers(0, 12))):
        copy = list(draw(st.sampled_from(pieces)))
        for place, word in draw(st.lists(st.tuples(st.integers(0, 39), WORDS), max_size=4)):
            if place < len(copy):
                copy[place] = word
        pieces.append(copy)
    order = draw(st.permutations(pieces))
    return [shingles(piece) for piece in order]


def brute(pieces):
    """The definition: compare every piece with every kept one, without a library."""
    kept, found = [], []
    for i, piece in enumerate(pieces):
        if any(len(piece & pieces[j]) / len(piece | pieces[j]) >= THRESHOLD for j in kept):
            found.append(i)
        else:
            kept.append(i)
    return found


def line(first, count=60):
    return shingles([f"t{i}" for i in range(first, first + count)])


def test_tokens_are_words_and_signs_ignoring_white_space():
    assert tokens("f(a,b)  # é\n") == tokens("f( a,\n  b )#é") == list("f(a,b)#é")
    assert tokens("self._x1+=2") == ["self", ".", "_x1", "+", "=", "2"]


def test_shingles_are_token_runs_and_a_short_piece_is_one_shingle():
    assert shingles(list("abcd")) == {"a b c", "b c d"}
    assert shingles(["a", "b"]) == {"a b"}
    assert shingles([]) == {""}
    assert SHINGLE == 3


def test_similarity_is_jaccard_of_shingles():
    assert jaccard(line(0), line(0)) == 1
    assert jaccard(line(0), line(100)) == 0
    # 58 shingles each, 48 of them common.
    assert jaccard(line(0), line(10)) == pytest.approx(48 / 68)


def test_the_first_of_each_group_is_kept():
    pieces = [line(0), line(500), line(2), line(501), line(900), line(0)]
    assert near_duplicates(pieces) == [2, 3, 5]
    assert near_duplicates([]) == []


def test_both_ends_of_a_chain_of_near_duplicates_are_kept():
    """Each is near the next, but the ends are not alike."""
    chain = [line(0), line(8), line(16)]
    assert jaccard(chain[0], chain[1]) >= THRESHOLD > jaccard(chain[0], chain[2])
    assert near_duplicates(chain) == [1]


def test_a_pair_exactly_at_the_threshold_counts():
    one, other = shingles([*"abcdefghij"]), shingles([*"abcdefghi", "x"])
    assert jaccard(one, other) == 7 / 9
    at = [frozenset("abcdefg"), frozenset("abcdefghij")]
    assert jaccard(*at) == THRESHOLD
    assert near_duplicates(at) == [1]
    assert NearIndex(at[:1]).near(at[1]) == [0]


@given(collections())
@settings(max_examples=200, deadline=None)
def test_near_duplicates_equal_those_of_comparing_all_pairs(pieces):
    assert near_duplicates(pieces) == brute(pieces)


@given(collections(), st.integers(0, 10))
@settings(max_examples=200, deadline=None)
def test_the_index_finds_every_near_piece_and_no_other(pieces, known):
    index = NearIndex(pieces[:known])
    for piece in pieces:
        near = [i for i, other in enumerate(pieces[:known]) if jaccard(piece, other) >= THRESHOLD]
        assert index.near(piece) == near


@pytest.mark.slow
def test_no_pair_is_missed_in_a_large_collection():
    """800 pieces, each a copy of one of 200 with as much changed as the threshold allows."""
    rng = random.Random(7)
    bases = [[f"b{b}t{i}" for i in range(60)] for b in range(200)]
    pieces = []
    for number in range(800):
        copy = list(bases[number % 200])
        for place in rng.sample(range(60), rng.choice([0, 1, 2, 3, 4])):
            copy[place] = f"c{number}"
        pieces.append(shingles(copy))
    assert near_duplicates(pieces) == brute(pieces)


PROGRAM = """
import json, random
from git_copilot.assistant.dataset.near_duplicates import near_duplicates, shingles
rng = random.Random(3)
base = [[rng.choice("abcdefgh") + str(rng.randrange(30)) for _ in range(50)] for _ in range(20)]
pieces = []
for i in range(120):
    copy = list(base[i % 20])
    for place in rng.sample(range(50), i % 6):
        copy[place] = f"x{i}"
    pieces.append(shingles(copy))
random.seed()
print(json.dumps(near_duplicates(pieces)))
"""


@pytest.mark.slow
def test_results_are_the_same_in_every_process():
    """Neither hash randomisation nor the global random numbers play a part."""
    answers = set()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        answers.add(done.stdout)
    (answer,) = answers
    assert 0 < len(json.loads(answer)) < 100
