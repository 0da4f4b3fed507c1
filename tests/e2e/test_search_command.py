"""The output of `search` without hits, and of `complete` without a completion."""

from __future__ import annotations

import io
import json

import pytest

from git_copilot.assistant.api.answers import (
    CompleteAnswer,
    CompletionExplanation,
    IndexState,
    Timings,
)
from git_copilot.assistant.client.output import print_completion
from git_copilot.assistant.core.terminal import Terminal
from tests.support.commands import Copilot, assert_one_line
from tests.support.terminal_screens import run_on_terminal


@pytest.mark.parametrize("query", ["zzqqxxyy", "zzqqxxyy --", "!!!", "\u202e"])
def test_no_results_are_reported_on_stderr_only(copilot, query):
    for env in ({"GIT_COPILOT_SERVER": "0"}, {}):
        done = copilot.run("search", "--", query, **env)
        assert done.returncode == 0 and done.stdout == b""
        assert done.stderr.decode().startswith("git-copilot: nothing found for ")
        assert done.stderr.count(b"\n") == 1
        assert json.loads(copilot.run("search", "--json", "--", query, **env).stdout)["hits"] == []


@pytest.mark.parametrize("query", [[""], ["  "], ["\t", "\n"]])
def test_an_empty_query_is_a_usage_error(copilot, query):
    assert_one_line(copilot.run("search", *query), 2, "empty", "search -h")


def answer(text="", finish="stop", rule=None, late=False, several=False):
    explanation = CompletionExplanation(0, 0, (1, 1), 0, "psm", "", rule, late, {}, 0, None, "")
    return CompleteAnswer(
        "cmpl-1", (text,), "a.py", 1, 1, "m", None, IndexState("", True), (), 1, finish,
        0, 1, Timings(0, 0, 0, 0), explanation, several=several,
    )  # fmt: skip


def printed(made, *, screen):
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(None, lambda: b"", out, err, screens=(screen, screen))
    print_completion(terminal, made.to_json(), made.why_empty, as_json=False)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (answer(), "the model had nothing to add"),
        (answer(rule="leaves_block", finish="trimmed"), "leaves_block"),
        (answer(finish="length"), "length"),
        (answer("  \n"), "white space"),
        (answer(several=True), "nothing to add"),
    ],
)
def test_an_empty_completion_is_explained_on_a_terminal(made, why):
    out, err = printed(made, screen=True)
    assert out == "" and err.startswith("git-copilot: no completion: ") and why in err
    assert err.count("\n") == 1
    out, err = printed(made, screen=False)
    assert (out, err) == ("", "")


def test_a_timeout_is_reported_once():
    assert printed(answer(late=True, finish="length"), screen=True) == ("", "")


def test_a_completion_is_printed_verbatim():
    text = "if x:\n\treturn y"
    assert printed(answer(text), screen=True) == (f"{text}\n", "")
    assert printed(answer(text), screen=False) == (f"{text}\n", "")


def test_colours_are_used_on_terminals_only(copilot, project):
    got, code = run_on_terminal(["git-copilot", "search", "alpha"], project.path)
    assert code == 0 and "\x1b[36;1msrc/util.py:1\x1b[0m" in got
    got, _ = run_on_terminal(["git-copilot", "search", "alpha"], project.path, NO_COLOR="1")
    assert "\x1b" not in got and "src/util.py:1\n" in got
    assert b"\x1b" not in Copilot(project.path).run("search", "alpha").stdout
    assert json.loads(Copilot(project.path).ok("search", "alpha", "--json"))["hits"]
