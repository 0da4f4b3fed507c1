"""The page of an evaluation stands alone, shows what was measured, and runs nothing of a repository."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from git_copilot.assistant.evaluation.forest_plot import Row, forest_plot
from git_copilot.assistant.evaluation.hole_results import (
    ADAPTER,
    ADAPTER_PLAIN,
    BASE,
    BASE_PLAIN,
    IN_USE,
    Answer,
    HoleResult,
    compare_arms,
    control_name,
    groups_of,
    odds_ratio,
    smallest_gain,
)
from git_copilot.assistant.evaluation.html_report import render_report
from git_copilot.assistant.evaluation.metrics import NOT_MEASURED, Comparison, Interval, Score
from git_copilot.assistant.evaluation.report import ControlReport
from git_copilot.index.core.types import Hole
from tests.assistant.evaluation.test_report import evaluation

COMMAND = ["git", "copilot", "eval", "--commits", "a b"]
HOSTILE = "</pre><script src=https://example.org/x>alert(1)</script>$title"


def answer(commit, text, truth):
    em = 100.0 if text == truth else 0.0
    return Answer(text, Score(commit, em, em, 2.0, 0.5, 4))


def result(i, **texts):
    """``texts`` of arms that are wrong; the others write the truth."""
    commit, truth = f"c{i}", f"value_{i}"
    names = {"base_plain": BASE_PLAIN, "base": BASE, "plain": ADAPTER_PLAIN, "adapter": ADAPTER}
    hole = Hole(
        commit, "b", f"src/m{i}.py", 0, 1, ("line", "block")[i % 2], f"A{i % 3}", i, "python"
    )
    answers = {name: answer(commit, texts.get(key, truth), truth) for key, name in names.items()}
    return HoleResult(hole, f"def f{i}():\n    return ", truth, "\n", (f"a.py:{i}",), answers)


def results():
    """40 holes, of which the adapter wins ten and loses two."""
    lost, won = {3, 9}, range(20, 30)
    return tuple(
        result(
            i, **({"adapter": "worse"} if i in lost else {"base": "nothing"} if i in won else {})
        )
        for i in range(40)
    )


def page(found, **changed):
    return render_report(evaluation(results=found, **changed), "repo", COMMAND)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "action")]


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def test_the_headline_is_the_comparison_of_the_adapter():
    text = page(results())
    assert "Adapter + retrieval completes more holes exactly than base model + retrieval" in text
    assert "<strong>+20.0 points</strong>" in text
    assert "10 and 2" in text and "5.00" in text
    assert text.count("<article>") == 10  # two lost, eight of ten won


def test_without_an_adapter_retrieval_is_compared():
    found = tuple(
        replace(r, answers={name: r.answers[name] for name in (BASE_PLAIN, BASE)})
        for r in results()
    )
    text = page(found, candidate=None)
    assert "Base model + retrieval completes fewer holes exactly than base model" in text
    assert "the adapter, with retrieval" not in text


def test_a_refresh_compares_with_the_adapter_in_use_and_tells_its_decision():
    found = tuple(
        replace(
            r, answers={IN_USE: r.answers[BASE], BASE: r.answers[BASE], ADAPTER: r.answers[ADAPTER]}
        )
        for r in results()
    )
    text = render_report(evaluation(results=found), "repo", COMMAND, "Promoted: it is <better>.")
    assert "Adapter + retrieval completes more holes exactly than adapter in use" in text
    assert "the adapter over the one in use: +20.0 [" in text
    assert "<p>Promoted: it is &lt;better&gt;.</p>" in text
    assert "without retrieval" not in text


def test_controls_have_an_arm_and_a_row():
    found = tuple(
        replace(r, answers=r.answers | {control_name("other"): r.answers[BASE]}) for r in results()
    )
    none = Interval(0.0, 0.0, 0.0)
    control = ControlReport("other", NOT_MEASURED, Comparison(none, none, none, 0, 0, 1.0))
    text = page(found, controls=(control,))
    assert "the adapter over other: +20.0 [" in text
    assert "<th scope=row>control other + retrieval" in text


def test_the_page_needs_nothing_else_and_runs_nothing():
    hostile = replace(
        result(1, base=HOSTILE), truth=HOSTILE, before=HOSTILE, snippets=(HOSTILE,),
        hole=replace(result(1).hole, path=HOSTILE, author=HOSTILE, commit=HOSTILE),
    )  # fmt: skip
    text = render_report(evaluation(results=(*results(), hostile)), HOSTILE, [HOSTILE])
    reader = read(text)
    assert reader.links == [] and "script" not in reader.tags
    assert "url(" not in text and "@import" not in text and "$" not in text.replace("$title", "")


def test_pictures_are_told_in_words():
    text = page(results())
    assert text.count("role=img") == text.count("<title>Difference") == text.count("<desc>")
    assert "the adapter, with retrieval: +20.0 [" in text


def test_the_same_results_give_the_same_page():
    assert page(results()) == page(results())


def test_a_report_without_results_is_refused():
    with pytest.raises(ValueError, match="without results"):
        page(())


def test_groups_are_of_ten_holes_at_least():
    found = groups_of(results(), lambda r: r.hole.author, BASE, ADAPTER)
    assert [g.name for g in found] == ["A0", "A1", "A2"]
    assert sum(g.holes for g in found) == 40
    assert groups_of(results(), lambda r: r.hole.path, BASE, ADAPTER) == []


def test_the_smallest_gain_falls_with_the_number_of_holes():
    some = compare_arms(results(), BASE, ADAPTER)
    many = compare_arms(results() * 4, BASE, ADAPTER)
    assert odds_ratio(some) == odds_ratio(many) == 5
    assert smallest_gain(some, 40) == pytest.approx(2 * smallest_gain(many, 160))
    # 12 of 40 differ: 2.8 * sqrt(0.3 / 40) is 24 points.
    assert smallest_gain(some, 40) == pytest.approx(24.3, abs=0.1)
    assert odds_ratio(compare_arms(results(), BASE, BASE)) is None


def test_a_plot_holds_all_its_intervals():
    rows = [Row("wide", -3.0, -47.0, 41.0), Row("one commit", 2.0, float("-inf"), float("inf"))]
    text = forest_plot(rows)
    numbers = [float(x) for x in re.findall(r' x[12]?="(-?[\d.]+)"', text)]
    assert min(numbers) >= 0 and max(numbers) <= 760
    assert text.count('class="bar') == 1 and "inf" not in text
