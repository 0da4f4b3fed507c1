"""``editor`` prints what an editor's configuration needs on this machine, and nothing that is secret."""

from __future__ import annotations

import io
import json
import tomllib

import click
import pytest

from git_copilot.assistant.cli.editor_snippets import editors
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.http.token import default_token_file, ensure_token
from git_copilot.assistant.service.service import Service
from tests.support.http_server import HttpRunning, fill_answer


@pytest.fixture
def editor(tmp_path, monkeypatch, runtime):
    """Runs the command outside any repository: what it printed, and its notes."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(tmp_path, lambda: b"", out, err)
        assert dispatch(["editor", *argv], terminal, Service()) == 0
        return out.getvalue(), err.getvalue()

    return run


@pytest.fixture
def running(runtime):
    """A server that answers HTTP."""
    server = HttpRunning(lambda request, callbacks: fill_answer("done"))
    yield server
    server.stop()


def test_every_editor_is_listed(editor):
    out, err = editor()
    assert [line.split()[0] for line in out.splitlines()] == list(editors())
    assert err == ""


@pytest.mark.parametrize("name", list(editors()))
def test_only_the_snippet_goes_to_standard_output(editor, name):
    out, err = editor(name)
    assert "@" not in out
    assert out.count("\n") == editors()[name].snippet.count("\n")
    assert f"docs/editors/{editors()[name].page}" in err
    assert all(line.startswith("git-copilot: ") for line in err.splitlines())


def test_the_address_is_that_of_the_running_server(editor, running):
    out, err = editor("llama.vim")
    assert f"'{running.url}/infill'" in out
    assert str(default_token_file()) in out
    assert "no server" not in err
    assert json.loads(editor("twinny")[0])["git-copilot"]["apiPort"] == running.port


def test_without_a_server_the_command_that_starts_one_is_told(editor, hermetic):
    assert "`git copilot serve --http 127.0.0.1:8012` starts one" in editor("zed")[1]
    with (hermetic / ".gitconfig").open("a") as config:
        config.write("[copilot]\n\thttp = localhost:9000\n")
    out, err = editor("zed")
    assert json.loads(out)["edit_predictions"]["open_ai_compatible_api"]["api_url"] == (
        "http://127.0.0.1:9000/v1/completions"
    )
    assert "serve --http 127.0.0.1:9000" in err
    assert "serve" not in editor("neovim")[1]


def test_the_token_is_shown_only_on_request(editor):
    token, _ = ensure_token(default_token_file())
    for name in editors():
        for form in ((), ("--json",)):
            assert token not in "".join(editor(name, *form))
    assert tomllib.loads(editor("tabby", "--show-token")[0])["server"]["token"] == token
    assert "`--show-token` prints it" in editor("tabby")[1]
    assert "--show-token" not in editor("tabby", "--show-token")[1]
    assert token not in "".join(editor("llama.vim", "--show-token"))  # it reads the file


def test_a_missing_token_file_is_said_with_the_command_that_makes_it(editor, hermetic):
    for form in ((), ("--show-token",)):
        out, err = editor("tabby", *form)
        assert tomllib.loads(out)["server"]["token"] == "TOKEN"
        assert f"{default_token_file()} does not exist: `git copilot serve --http " in err
        assert "--show-token" not in err


def test_a_file_with_blanks_in_its_name_can_be_pasted_into_a_shell(editor, hermetic):
    with (hermetic / ".gitconfig").open("a") as config:
        config.write("[copilot]\n\thttpTokenFile = /home/me/my files/token\n")
    assert "$(cat '/home/me/my files/token')" in editor("continue")[1]


def test_json_has_the_snippet_and_where_it_goes(editor):
    one = json.loads(editor("continue", "--json")[0])
    assert one["snippet"] == editor("continue")[0]
    assert (one["page"], one["http"]) == ("docs/editors/continue.md", None)
    assert [each["name"] for each in json.loads(editor("--json")[0])] == list(editors())


def test_another_name_is_refused_with_the_names(editor):
    with pytest.raises(click.UsageError, match=r"unknown editor 'ed': one of llama\.vim, vim,"):
        editor("ed")
