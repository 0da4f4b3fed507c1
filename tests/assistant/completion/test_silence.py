"""Editors that ask by themselves get nothing where the user wants silence."""

from __future__ import annotations

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.silence import reason_for_silence
from git_copilot.assistant.core.config import Settings, parse_settings
from git_copilot.index.core.errors import CopilotError
from tests.support.initialised_repo import initialise_repository

AT = "‸"


@pytest.fixture
def project(repo, folder):
    repo.commit({"src/app.py": "x = 1\n", "docs/guide.md": "# Guide\n", "web/a.ts": "let a = 1;\n"})
    return initialise_repository(repo, folder)


def place_of(project, text, path="src/app.py"):
    before, after = text.split(AT)
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    data = (before + after).encode()
    return find_place(CompleteRequest(f"{path}:{line}:{column}", project.path, data))


def reason(project, text, path="src/app.py", **settings):
    return reason_for_silence(place_of(project, text, path), Settings(**settings))


def test_by_default_everything_is_answered(project):
    for text in (f"# comment {AT}", f'"string {AT}"', f"x = 1{AT}", AT):
        assert reason(project, text) is None


def test_manual_only(project):
    assert "copilot.automatic" in reason(project, AT, automatic=False)


@pytest.mark.parametrize(
    ("path", "settings", "silent"),
    [
        ("docs/guide.md", {"silent_paths": "*.md"}, True),
        ("docs/guide.md", {"silent_paths": "docs"}, True),
        ("docs/guide.md", {"silent_paths": "docs/, other"}, True),
        ("docs/guide.md", {"silent_paths": "docs/*.md"}, True),
        ("docs/guide.md", {"silent_paths": "/docs/*"}, True),
        ("src/app.py", {"silent_paths": "docs/*,*.md guide"}, False),
        ("src/app.py", {"silent_languages": "markdown, python"}, True),
        ("web/a.ts", {"silent_languages": "python"}, False),
    ],
)
def test_by_language_and_path(project, path, settings, silent):
    assert (reason(project, AT, path, **settings) is not None) is silent


@pytest.mark.parametrize(
    ("kind", "text", "silent"),
    [
        ("comments", f"# a comment {AT}", True),
        ("comments", f"x = 1  # and {AT}", True),
        ("comments", f"x = '# no comment {AT}", False),
        ("comments", f"x = 1\n{AT}", False),
        ("strings", f"x = 'some {AT}'", True),
        ("strings", f'"""doc\n{AT}\n"""\n', True),
        ("strings", f"x = f'a {{val{AT}}} b'", False),
        ("strings", f"x = f'a {{val}} b{AT}'", True),
        ("strings", f"x = {AT}", False),
        ("statements", f"run(value){AT}", True),
        ("statements", f"    x = [1, 2]{AT}\n", True),
        ("statements", f"    pass{AT}", True),
        ("statements", f"x = val{AT}", False),
        ("statements", f"x = run(value{AT})", False),
        ("statements", f"x = (run(){AT}", False),
        ("statements", f"if run():{AT}", False),
        ("statements", f"x = run() + {AT}", False),
        ("statements", f"run(){AT}.go()", False),
        ("statements", f"# run(){AT}", False),
        ("statements", AT, False),
    ],
)
def test_by_place(project, kind, text, silent):
    assert (reason(project, text, silent_in=kind) is not None) is silent
    assert reason(project, text) is None


def test_statements_of_other_languages_end_with_a_semicolon_or_brace(project):
    ask = {"path": "web/a.ts", "silent_in": "statements"}
    assert reason(project, f"let a = f();{AT}", **ask)
    assert reason(project, f"let a = f(){AT}", **ask) is None


def test_only_what_is_asked_automatically_is_silenced(project, session):
    project.git("config", "copilot.silentPaths", "src")

    def ask(automatic):
        request = CompleteRequest("src/app.py:1", project.path, automatic=automatic)
        return complete(request, find_place(request), session, Callbacks())

    silent = ask(True)
    assert silent.completion == "" and silent.to_json()["reason"] == "copilot.silentPaths has src"
    assert not session._engines, "no model was loaded for that"
    assert ask(False).prompt_tokens > 0


def test_an_unknown_place_is_refused():
    assert parse_settings({"silentin": "comments, strings"}).silent_in == "comments, strings"
    with pytest.raises(CopilotError, match="not a list of comments, strings, statements"):
        parse_settings({"silentin": "comments jokes"})
