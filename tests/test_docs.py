"""The documentation covers every command, option and setting, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from git_copilot.assistant.cli.main import COMMANDS, root
from git_copilot.assistant.core.config import HARMLESS, Settings

ROOT = Path(__file__).resolve().parent.parent
MANUAL = (ROOT / "docs" / "git-copilot.1").read_text("utf-8").replace("\\-", "-")
README = (ROOT / "README.md").read_text("utf-8")


def commands():
    context = click.Context(root)
    for name in COMMANDS:
        command = root.get_command(context, name)
        yield name, command
        if isinstance(command, click.Group):
            for sub in command.commands.values():
                yield f"{name} {sub.name}", sub


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda x: x if isinstance(x, str) else ""
)
def test_every_command_has_help_and_is_in_the_manual(name, command):
    assert command.help
    assert re.search(rf"\b{name.split()[-1]}\b", MANUAL)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert any(option in MANUAL for option in parameter.opts), parameter.opts


@pytest.mark.parametrize("field", fields(Settings), ids=lambda f: f.name)
def test_every_setting_is_in_the_manual_with_its_default(field):
    key = "copilot." + re.sub(r"_(\w)", lambda m: m[1].upper(), field.name)
    assert key in MANUAL
    star = r"\*" if key.split(".")[1].lower() in HARMLESS else r"(?!\*)"
    shown = str(field.default).lower()
    if not isinstance(field.default, str):
        assert re.search(rf"{re.escape(key)}{star} \({shown}\)", MANUAL)


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_documents_name_exist(document):
    text = (ROOT / document).read_text("utf-8")
    for name in re.findall(r"`((?:index|hooks|assistant|docs|tests|bench)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), name


def test_commands_that_the_readme_shows_exist():
    shown = set(re.findall(r"git copilot ([a-z]+)", README))
    assert shown <= set(COMMANDS) | {"status"}
