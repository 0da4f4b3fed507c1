"""`git copilot config` lists every setting and where it is set, and sets one."""

from __future__ import annotations

from dataclasses import fields

from git_copilot.assistant.core.config import Settings, display_name
from tests.support.commands import assert_one_line


def row(copilot, name):
    return next(r for r in copilot.json("config") if r["name"] == name)


def test_the_listing_has_every_setting_with_its_default_and_unit(copilot):
    rows = {r["name"]: r for r in copilot.json("config")}
    assert set(rows) == {display_name(f.name) for f in fields(Settings)} | {"copilot.secrets"}
    assert rows["copilot.latencyMs"]["default"] == "1500"
    assert rows["copilot.latencyMs"]["unit"] == "ms"
    assert all(r["help"] for r in rows.values())
    text = copilot.ok("config")
    assert all(name in text for name in rows)


def test_the_listing_says_where_a_value_is_set(copilot, project):
    assert row(copilot, "copilot.snippets")["scope"] == "default"
    project.commit({".gitcopilot": "[copilot]\n\tsnippets = 2\n\tmodel = /evil\n"})
    assert row(copilot, "copilot.snippets")["scope"] == "committed"
    assert row(copilot, "copilot.model")["scope"] == "global"
    project.git("config", "copilot.snippets", "4")
    found = row(copilot, "copilot.snippets")
    assert (found["scope"], found["value"]) == ("local", "4")
    assert found["origin"].endswith("config")


def test_a_value_is_set_printed_and_removed(copilot, project):
    copilot.ok("config", "COPILOT.maxtokens", "9")
    assert project.git("config", "--local", "copilot.maxTokens").strip() == "9"
    assert copilot.ok("config", "maxTokens") == "9\n"
    assert copilot.json("config", "maxTokens")["value"] == "9"
    copilot.ok("config", "maxTokens", "--unset")
    assert copilot.ok("config", "maxTokens") == "8\n"  # the user's own
    copilot.ok("config", "maxTokens", "--unset")  # nothing to remove is no error
    copilot.ok("config", "--global", "seed", "3")
    assert row(copilot, "copilot.seed")["scope"] == "global"


def test_an_invalid_value_is_refused_in_one_line(copilot, project):
    assert_one_line(copilot.run("config", "maxTokens", "many"), 1, "copilot.maxTokens", "'many'")
    assert_one_line(
        copilot.run("config", "secrets", "shout"), 1, "copilot.secrets", "warn or refuse"
    )
    assert_one_line(copilot.run("config", "maxToken"), 1, "unknown setting", "copilot.maxTokens")
    assert_one_line(copilot.run("config", "--unset"), 2, "--unset")
    assert_one_line(copilot.run("config", "--global", "seed"), 2, "--global")
    assert "many" not in project.git("config", "--list")


def test_an_invalid_value_can_be_shown_and_replaced(copilot, project):
    project.git("config", "copilot.maxTokens", "many")
    assert copilot.ok("config", "maxTokens") == "many\n"
    copilot.ok("config", "maxTokens", "7")
    assert copilot.ok("config", "maxTokens") == "7\n"


def test_invalid_committed_defaults_give_one_warning_and_completion_works(copilot, project):
    project.commit({".gitcopilot": "[copilot]\n\tmaxTokens = lots\n"})
    done = copilot.run("complete", "src/app.py:1", GIT_COPILOT_SERVER="0")
    assert done.returncode == 0
    assert done.stderr.decode().count(".gitcopilot") == 1
    assert "copilot.maxTokens" in copilot.run("doctor").stdout.decode()
