"""What is shown of all that a model wrote, by confidence and by rules."""

from __future__ import annotations

import pytest

from git_copilot.assistant.completion.choice import Proposal, choose, proposals_of
from git_copilot.assistant.decoding.confidence import ConfidenceWeights, LineCost
from git_copilot.assistant.decoding.generation import Alternative, Generation
from git_copilot.assistant.postprocess.plausibility import Names, Plausibility
from git_copilot.assistant.postprocess.trim import TrimmedText

# The confidence falls with the nats alone: 0 nats are 88%, 2 are 50%, 4 are 12%.
WEIGHTS = ConfidenceWeights(2.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
PREFIX = "def area(width, height):\n    return "


def rules(prefix=PREFIX, suffix="\n"):
    return Plausibility(prefix, suffix, "a.py", Names(lambda names: set(), lambda names: set()))


def proposal(text, nats, **more):
    return Proposal(text, None, LineCost(nats, 3), **more)


def generation(text, costs, *others):
    alternatives = tuple(Alternative(line, nats, 3) for line, nats in others)
    lines = tuple(LineCost(nats, 3 * number) for number, nats in enumerate(costs, 1))
    return Generation(text, "stop", 3, 0, 0.0, 0.0, lines=lines, alternatives=alternatives)


def test_the_proposals_are_the_text_its_first_lines_and_other_lines():
    made = generation("a\n  b\n  c", [1, 2, 5], ("x", 3), ("a", 4), ("  ", 1))
    found = proposals_of(made, TrimmedText(made.text, None), lambda text: TrimmedText(text, None))
    assert [(each.text, each.cost.nats, each.alternative) for each in found] == [
        ("a\n  b\n  c", 5, False), ("a\n  b", 2, False), ("a", 1, False), ("x", 3, True),
    ]  # fmt: skip


def test_where_the_rules_left_nothing_there_are_no_proposals():
    made = generation("a", [1], ("x", 3))
    assert (
        proposals_of(made, TrimmedText("", "nothing"), lambda text: TrimmedText(text, None)) == []
    )


def test_a_likelier_line_is_shown_in_place_of_many_unlikely_ones():
    many = proposal("width * height\n    and more", 6)
    choice = choose([many, proposal("width * height", 0.5)], WEIGHTS, rules(), 0.25)
    assert choice.shown.text == "width * height" and choice.shown.confidence > 0.8
    assert [each.text for each in choice.proposals] == ["width * height", many.text]


def test_what_breaks_a_rule_is_left_out_for_the_next():
    found = [proposal("widht * height", 0.1), proposal("width * height", 0.2)]
    choice = choose(found, WEIGHTS, rules(), 0.25)
    assert choice.shown.text == "width * height"
    assert choice.proposals[0].faults == ("name",)


def test_nothing_is_shown_below_the_threshold_and_the_reason_is_told():
    choice = choose([proposal("width", 5)], WEIGHTS, rules(), 0.25)
    assert choice.shown is None and "copilot.confidence" in choice.reason
    assert choose([proposal("width", 5)], WEIGHTS, rules(), 0.0).shown.text == "width"


def test_where_every_likely_proposal_breaks_a_rule_none_is_shown():
    found = [proposal("widht", 0.1), proposal("heigth", 0.2)]
    choice = choose(found, WEIGHTS, rules(), 0.25)
    assert choice.shown is None and "(name)" in choice.reason
    assert choose(found, WEIGHTS, rules(), 0.0).shown.text == "heigth"  # come what may


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_without_costs_the_models_own_choice_is_shown(weights):
    first = Proposal("anything", None, None)
    choice = choose([first], weights, rules(), 0.9)
    assert choice.shown is first and choice.reason is None
    assert choose([], weights, rules(), 0.9).shown is None
