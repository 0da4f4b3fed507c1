"""The thin client's reader of command lines agrees with click, or leaves them to it."""

from __future__ import annotations

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.assistant.api import requests
from git_copilot.assistant.cli.commands.complete import complete_command
from git_copilot.assistant.cli.commands.feedback import feedback_command
from git_copilot.assistant.cli.commands.search import search_command
from git_copilot.assistant.client import command_line
from git_copilot.assistant.client.command_line import read_command
from git_copilot.index.corpus.feedback_store import OUTCOMES

COMMANDS = {"complete": complete_command, "search": search_command, "feedback": feedback_command}
WORDS = (
    "a.py:1", "-", "--", "--json", "--stdin", "--no-retrieval", "--no-server", "--explain", "--write",
    "-n", "3", "0", "99", "+3", " 3", "1_0", "-n3", "-n=3", "--adapter", "--adapter=none", "--adapter=",
    "--model=x=y", "--at", "HEAD~1", "--max-tokens", "--max-tokens=12", "4096", "--final", "--final=-",
    "accepted", "partial", "--length", "--length=3", "-h", "--help", "--js", "", "x y",
)  # fmt: skip


def parsed(name, argv):
    """The parameters of a command line as click reads them, or ``None`` where it refuses them."""
    try:
        context = COMMANDS[name].make_context(name, list(argv))
    except (click.exceptions.Exit, click.UsageError):
        return None
    return context.params


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), st.lists(st.sampled_from(WORDS), max_size=5))
def test_the_client_parses_a_command_line_as_click_does(name, argv):
    command = read_command([name, *argv], "/here")
    if command is None:
        return
    wanted, request = parsed(name, argv), command.request
    assert wanted is not None, "click refuses it"
    assert command.as_json == wanted["as_json"] and request["cwd"] == "/here"
    if name == "complete":
        assert not (wanted["explain"] or wanted["write"] or wanted["no_server"])
        assert (command.stdin_field == "text") == wanted["from_stdin"]
        assert request["location"] == wanted["location"]
        assert request["retrieval"] == (not wanted["no_retrieval"])
        for field in ("max_tokens", "adapter", "model", "at"):
            assert request[field] == wanted[field], field
        assert (request["count"] or 1) == wanted["count"]
    elif name == "search":
        assert request["query"] == " ".join(wanted["query"]).strip()
        assert (request["count"] or 10) == wanted["count"]
        assert request["texts"] == (not wanted["as_json"])
    else:
        assert (request["id"], request["outcome"]) == (wanted["completion_id"], wanted["outcome"])
        assert (request["final"], request["accepted_length"]) == (wanted["final"], wanted["length"])
        assert (wanted["length"] is None) == (wanted["outcome"] != "partial")
        assert (command.stdin_field == "final") == (wanted["final"] == "-")


@pytest.mark.parametrize(
    "argv",
    [
        ["complete", "a.py:1", "--stdin", "--json", "--max-tokens", "8", "-n", "2"],
        ["complete", "--no-retrieval", "--adapter=none", "--model", "m", "--at", "HEAD", "a.py:1"],
        ["search", "two", "words", "--json"],
        ["search", "-n", "3", "--", "--json"],
        ["feedback", "c1", "edited", "--final", "-"],
        ["feedback", "c1", "partial", "--length", "12"],
    ],
)
def test_the_client_parses_ordinary_command_lines(argv):
    assert read_command(argv, "/") is not None


@pytest.mark.parametrize(
    "argv",
    [[], ["status"], ["complete"], ["complete", "a:1", "b:1"], ["complete", "a:1", "--explain"],
     ["complete", "a:1", "--write"], ["complete", "a:1", "--no-server"], ["complete", "-h"],
     ["complete", "a:1", "-n", "17"], ["search", " "], ["feedback"], ["feedback", "c1"],
     ["feedback", "c1", "liked"], ["feedback", "c1", "partial"],
     ["feedback", "c1", "accepted", "--length", "3"], ["feedback", "c1", "partial", "--length=0"]],
)  # fmt: skip
def test_other_command_lines_are_left_to_click(argv):
    assert read_command(argv, "/") is None


def test_numeric_bounds_equal_those_of_the_commands():
    for name in ("MAX_TOKENS", "MAX_CANDIDATES", "MAX_HITS", "MAX_LENGTH"):
        assert getattr(command_line, name) == getattr(requests, name)
    assert set(command_line.OUTCOMES) == set(OUTCOMES)
    for command, option, most in (
        (complete_command, "max_tokens", requests.MAX_TOKENS),
        (complete_command, "count", requests.MAX_CANDIDATES),
        (search_command, "count", requests.MAX_HITS),
        (feedback_command, "length", requests.MAX_LENGTH),
    ):
        (found,) = (p for p in command.params if p.name == option)
        assert found.type.max == most
