"""Settings come from git configuration; a clone cannot choose what is loaded."""

from __future__ import annotations

import pytest

from git_copilot.assistant.config import Settings, load_settings, parse_settings, spelt
from git_copilot.index.errors import CopilotError
from git_copilot.index.git import GitRepository


def test_defaults_without_a_repository():
    assert load_settings(None) == Settings()


def test_local_configuration_wins_over_the_committed_file(repo):
    repo.commit({".gitcopilot": "[copilot]\n\tmaxTokens = 10\n\tsnippets = 3\n"})
    repo.git("config", "copilot.maxTokens", "20")
    settings = load_settings(GitRepository.discover(repo.path))
    assert (settings.max_tokens, settings.snippets) == (20, 3)


def test_the_committed_file_cannot_choose_a_model_or_start_things(repo):
    repo.commit(
        {".gitcopilot": "[copilot]\n\tmodel = /evil\n\tembedder = /evil\n\tserver = false\n"}
    )
    assert load_settings(GitRepository.discover(repo.path)) == Settings()


def test_a_broken_committed_file_is_ignored(repo):
    repo.commit({".gitcopilot": "[copilot\nmaxTokens"})
    assert load_settings(GitRepository.discover(repo.path)) == Settings()


@pytest.mark.parametrize("value", ["ten", "-1", "1.5"])
def test_wrong_types_say_how_to_mend(value):
    with pytest.raises(CopilotError, match=r"git config copilot\.maxTokens"):
        parse_settings({"maxtokens": value})


def test_a_setting_is_named_as_the_manual_spells_it():
    with pytest.raises(CopilotError) as raised:
        parse_settings({"timelimitms": "soon"})
    assert str(raised.value).count("copilot.timeLimitMs") == 2
    assert spelt("time_limit_ms") == spelt("timelimitms") == "copilot.timeLimitMs"
    assert spelt("secrets") == "copilot.secrets"


def test_booleans_as_git_writes_them():
    assert parse_settings({"server": "off"}).server is False
    assert parse_settings({"server": ""}).server is True
    with pytest.raises(CopilotError, match="true or false"):
        parse_settings({"server": "maybe"})


def test_a_source_of_the_corpus_is_one_of_four():
    assert parse_settings({"corpussource": "both"}).corpus_source == "both"
    with pytest.raises(CopilotError, match="one of commits, snapshot, both, auto"):
        parse_settings({"corpussource": "snapshots"})
