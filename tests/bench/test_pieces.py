"""bench/seed/pieces.py: holes of packed files, and the snippets for them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from git_copilot.assistant.models.seed_adapter_files import prepare_base
from git_copilot.assistant.prompt.builder import Prompt
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from tests.support.packed_files import file, many, pieces, repository
from tests.support.tiny_models import SPARE, save_tiny


@pytest.fixture(scope="module", name="tokenizer")
def its_tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    prepare_base(save_tiny(folder / "tiny", specials=SPARE), folder / "prepared")
    return TextTokenizer.load(folder / "prepared")


def test_all_kinds_of_holes_are_cut_where_text_is(tokenizer):
    found = many(tokenizer)
    kinds = Counter(piece.kind for piece in found)
    assert set(kinds) == set(pieces.KINDS)
    assert all(piece.middle_ids[-1] == tokenizer.end_id for piece in found)
    empty = [piece for piece in found if piece.kind == "nothing"]
    # What token healing takes back from the prompt is written again.
    ends = {tokenizer.decode(list(piece.middle_ids[:-1])) for piece in empty}
    assert all(len(end) <= 16 for end in ends)


def test_a_search_never_shows_the_lines_that_are_hidden():
    found = repository()
    query = found.files[1].text
    hits = found.search(query, 99, (1, 3, 20))
    assert hits and hits[0].score >= hits[-1].score
    own = [hit for hit in hits if hit.path == "src/apple1.py"]
    assert own and all(hit.start_line > 20 or hit.end_line <= 3 for hit in own)


def test_the_best_snippet_has_the_words_of_the_query():
    hits = repository().search("x = normalise_apple35(combined_apple35)", 3, (0, 0, 0))
    assert hits[0].path == "src/apple3.py" and "normalise_apple35" in hits[0].text


def test_what_only_a_snippet_shows_weighs_more():
    (hit,) = repository().search("normalise_apple35", 1, (0, 0, 0))
    shown = Prompt((), ((hit, 9),), "spm", shown=(20, 20))

    def weight(prompt, prefix, middle):
        return pieces._weight(prompt, prefix, "return total\n", middle)

    assert weight(shown, "total = ", "normalise_apple35(first)") == pieces.SHOWN_WEIGHT
    # The name stands in view already, or in no snippet.
    assert weight(shown, "normalise_apple35()\n", "normalise_apple35()") == 1.0
    assert weight(shown, "total = ", "something_else()") == 1.0
    assert weight(replace(shown, snippets=()), "total = ", "normalise_apple35()") == 1.0
    # It stands in the file, and the prompt has no room for that.
    far = "normalise_apple35()\n" + "total = 1\n" * 9
    assert weight(shown, far, "normalise_apple35()") == pieces.SHOWN_WEIGHT


def test_a_part_of_the_file_behind_the_cursor_is_not_written_yet():
    one = file(0, "apple1")
    lines = pieces.Lines(one.text)
    begin, end = lines.content(1)
    span, rng = pieces.Span(begin, end, "line"), random.Random(0)
    places = {pieces.behind(lines, span, rng) for _ in range(200)}
    assert end in places and len(places) > 1
    # No further than the function that the author writes, and whole lines only.
    assert max(places) < one.text.index("def apple1_1")
    assert all(place == end or one.text[place] == "\n" for place in places)
