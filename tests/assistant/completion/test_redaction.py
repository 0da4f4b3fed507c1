"""Secrets in the file are redacted for a remote server, and not for a local model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from git_copilot.assistant.completion.redaction import discreet, told
from git_copilot.assistant.completion.request import Place
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.prompt.location import Location, cut_document
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.scan import fingerprint

VALUE = "Tr0ub4dor" + "Zebra7"


@pytest.fixture
def make_place(repo):
    def at(name, text, line):
        repo.write({name: text})
        found = GitRepository.discover(repo.path)
        location, data = Location(name, line), text.encode()
        return Place(found, location, repo.path / name, name, data, cut_document(data, location))

    return at


def text_around(make_place):
    return make_place.document.prefix + "|" + make_place.document.suffix


@pytest.mark.parametrize("name", ["a.py", "config/.env"])
def test_secrets_are_redacted_for_a_remote_server_only(make_place, name):
    here = make_place(name, f'password = "{VALUE}"\nname = 1\nsecret = "{VALUE}"\n', 2)
    assert told(here, Settings()) is here
    sent = text_around(told(here, replace(Settings(), endpoint="http://server/v1")))
    assert VALUE in text_around(here) and VALUE not in sent
    assert len(sent) == len(text_around(here)) and sent.count("\n") == 3
    assert ("name = 1|\n" in sent) == (name == "a.py")


def test_an_unfinished_line_at_the_cursor_is_judged_as_unfinished():
    for quote in "\"'":
        before, after = discreet(
            f"name = 'x'\npassword = {quote}{VALUE}", "\n", "a.js", frozenset()
        )
        assert before.startswith(f"name = 'x'\npassword = {quote}x") and VALUE not in before
        assert after == "\n"


def test_an_allowed_line_is_not_redacted():
    line = f'password = "{VALUE}"'
    assert discreet(line, "\n", "a.py", frozenset({fingerprint(line)})) == (line, "\n")


def test_text_without_secrets_is_unchanged():
    parts = "def f(password):\n    return ", "\n"
    assert discreet(*parts, "a.py", frozenset()) == parts
