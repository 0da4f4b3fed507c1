"""Settings come from git configuration; a clone cannot choose what is loaded or started."""

from __future__ import annotations

import pytest

from git_copilot.assistant.core.config import (
    HARMLESS,
    MAX_DEFAULTS_BYTES,
    Settings,
    display_name,
    load_settings,
    parse_settings,
    repository_defaults,
)
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository


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
    valid = "[copilot]\n\tmaxTokens = 7\n"
    repo.commit({".gitcopilot": valid})
    assert load_settings(GitRepository.discover(repo.path)) == Settings(max_tokens=7)
    repo.commit({".gitcopilot": f"{valid}[copilot\n"})
    assert load_settings(GitRepository.discover(repo.path)) == Settings()


def committed(repo, text):
    """Commit settings; returns what is loaded, and the warnings."""
    told = []
    repo.commit({".gitcopilot": text})
    settings = load_settings(GitRepository.discover(repo.path), warn=told.append)
    return settings, told


def test_a_wrong_committed_value_is_skipped_with_one_warning(repo):
    settings, told = committed(
        repo, '[copilot]\n\tmaxTokens = "\\t]0;x"\n\tsnippets = 3\n\tseed = 7\n\tfoo = 1\n'
    )
    assert settings == Settings(snippets=3)
    assert len(told) == 1
    assert "copilot.maxTokens" in told[0] and "2 more" in told[0] and "\n" not in told[0]


def test_a_valid_committed_file_causes_no_warning(repo):
    settings, told = committed(repo, "[copilot]\n\tmaxTokens = 32\n\tpromptTokens = 2k\n")
    assert (settings.max_tokens, settings.prompt_tokens, told) == (32, 2048, [])


@pytest.mark.parametrize("huge", ["999999999999999", "9" * 40, "4000g"])
def test_committed_numbers_are_clamped_to_their_bounds(repo, huge):
    text = "[copilot]\n" + "".join(f"\t{key} = {huge}\n" for key in HARMLESS)
    settings, told = committed(repo, text)
    for key, (_, high) in HARMLESS.items():
        name = next(n for n in Settings.__slots__ if n.replace("_", "") == key)
        assert getattr(settings, name) == high, key
    assert len(told) == 1


def test_a_committed_zero_does_not_disable_time_limits(repo):
    settings, told = committed(repo, "[copilot]\n\tlatencyMs = 0\n\ttimeLimitMs = 0\n")
    assert settings.latency_ms == HARMLESS["latencyms"][1]
    assert settings.time_limit_ms == HARMLESS["timelimitms"][1]
    assert told


def test_values_set_by_the_user_are_not_clamped(repo):
    repo.commit({".gitcopilot": "[copilot]\n\tmaxTokens = 99999\n\ttimeLimitMs = no\n"})
    repo.git("config", "copilot.maxTokens", "2000")
    repo.git("config", "copilot.timeLimitMs", "0")
    found = GitRepository.discover(repo.path)
    assert load_settings(found).max_tokens == HARMLESS["maxtokens"][1]  # who knows whose they are
    trust_repository(found.state_dir)
    settings = load_settings(found)
    assert (settings.max_tokens, settings.time_limit_ms) == (2000, 0)


def test_includes_of_the_committed_file_are_not_followed(repo, tmp_path):
    other = tmp_path / "included"
    other.write_text("[copilot]\n\tsnippets = 1\n")
    settings, _ = committed(
        repo, f'[include]\n\tpath = {other}\n[includeIf "gitdir:/**"]\n\tpath = {other}\n'
    )
    assert settings == Settings()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 300_000, "larger"),
        ("[" * 1000, "syntax"),
        ("[copilot]\n\tsnippets = 3\n" + "#" * MAX_DEFAULTS_BYTES, "larger"),
        ("\0\1\2", "syntax"),
    ],
)
def test_a_committed_file_that_git_cannot_parse_is_skipped_with_a_reason(repo, text, reason):
    settings, told = committed(repo, text)
    assert settings == Settings()
    assert len(told) == 1 and reason in told[0]


def test_committed_defaults_are_read_from_a_blob_only(repo):
    repo.commit({".gitcopilot/x": "[copilot]\n\tsnippets = 1\n"})
    found = GitRepository.discover(repo.path)
    assert repository_defaults(found) == ({}, [])
    assert repository_defaults(found, "no-such-branch") == ({}, [])


@pytest.mark.parametrize("value", ["ten", "-1", "1.5", "9" * 40])
def test_a_value_of_the_wrong_type_is_refused_with_a_remedy(value):
    with pytest.raises(CopilotError, match=r"git config copilot\.maxTokens"):
        parse_settings({"maxtokens": value})


def test_errors_spell_a_setting_as_the_manual_does():
    with pytest.raises(CopilotError) as raised:
        parse_settings({"timelimitms": "soon"})
    assert str(raised.value).count("copilot.timeLimitMs") == 2
    assert display_name("time_limit_ms") == display_name("timelimitms") == "copilot.timeLimitMs"
    assert display_name("secrets") == "copilot.secrets"


def test_every_boolean_spelling_of_git_is_accepted():
    assert parse_settings({"server": "off"}).server is False
    assert parse_settings({"server": ""}).server is True
    with pytest.raises(CopilotError, match="true or false"):
        parse_settings({"server": "maybe"})


def test_corpus_source_must_be_one_of_four_values():
    assert parse_settings({"corpussource": "both"}).corpus_source == "both"
    with pytest.raises(CopilotError, match="one of commits, snapshot, both, auto"):
        parse_settings({"corpussource": "snapshots"})
