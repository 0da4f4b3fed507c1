"""The user's configuration is read where there is no repository."""

from __future__ import annotations

import subprocess

from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.index.git.user_config import user_config_entries


def test_only_what_holds_everywhere_is_read(repo, monkeypatch):
    monkeypatch.chdir(repo.path)
    repo.git("config", "copilot.maxTokens", "7")
    assert user_config_entries("copilot") == []
    assert load_settings(None) == Settings()
    subprocess.run(["git", "config", "--global", "copilot.http", "127.0.0.1:8012"], check=True)
    subprocess.run(["git", "config", "--global", "copilot.maxTokens", "9"], check=True)
    found = {entry.key: (entry.scope, entry.value) for entry in user_config_entries("copilot")}
    assert found == {"http": ("global", "127.0.0.1:8012"), "maxtokens": ("global", "9")}
    assert load_settings(None).max_tokens == 9


def test_the_command_line_of_git_counts(monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "copilot.maxTokens")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "5")
    assert load_settings(None).max_tokens == 5
