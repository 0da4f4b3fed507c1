"""The documentation covers every command, option and setting, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest

from git_copilot.assistant.api.requests import CompleteRequest, SearchRequest
from git_copilot.assistant.cli.main import COMMANDS, root
from git_copilot.assistant.core.config import HARMLESS, Settings
from git_copilot.assistant.core.setting_help import all_settings
from tests.test_layout import FLOOR

ROOT = Path(__file__).resolve().parent.parent
MANUAL = (ROOT / "docs" / "git-copilot.1").read_text("utf-8").replace("\\-", "-")
README = (ROOT / "README.md").read_text("utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text("utf-8")
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "assistant" / "seed_adapter" / "README.md",
        ROOT / "index" / "seed_embedder" / "README.md",
    ]
)


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


def table_rows(text):
    """The cells of every row of the tables in a document, without code marks."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


def test_configuration_lists_every_setting_with_its_default_unit_and_choices():
    rows = {row[0]: row[1:] for row in table_rows(CONFIGURATION) if len(row) == 4}
    del rows["setting"]
    settings = {setting.name: setting for setting in all_settings()}
    assert set(rows) == set(settings)
    for name, (default, unit, meaning) in rows.items():
        assert default == (settings[name].default or "*(empty)*"), name
        assert meaning.endswith("."), name
        if settings[name].unit:
            assert unit == settings[name].unit, name
        for choice in settings[name].choices:
            assert choice in f"{unit} {meaning}", (name, choice)


def test_configuration_lists_the_bounds_of_a_committed_file():
    rows = [row for row in table_rows(CONFIGURATION) if len(row) == 3]
    del rows[0]
    bounds = {row[0].lower(): (int(row[1]), int(row[2])) for row in rows}
    assert bounds == {f"copilot.{key}": limits for key, limits in HARMLESS.items()}


def anchors(document):
    """The anchors of a document's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_between_documents_resolve(document):
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.is_relative_to(ROOT) and file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_a_broken_anchor_would_be_noticed():
    assert "state-on-disk" in anchors(ROOT / "ARCHITECTURE.md")
    assert "state-on-tape" not in anchors(ROOT / "ARCHITECTURE.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_files_that_documents_name_exist(document):
    text = document.read_text("utf-8")
    for name in re.findall(r"`((?:index|hooks|assistant|docs|tests|bench)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), name
    for command in re.findall(r"python ((?:bench|docs)/[\w./-]+\.py)", text):
        assert (ROOT / command).exists(), command


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, ROOT / "docs" / "git-copilot.1"],
    ids=lambda d: str(d.relative_to(ROOT)),
)
def test_documents_use_standard_words(document):
    """Rebuild, fix, retry and the like, not paraphrases of them."""
    text = document.read_text("utf-8")
    found = re.findall(r"\b(?:anew|mended|mends|made again|so many|so much|so long)\b", text)
    assert found == []


def test_make_targets_that_documents_name_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text("utf-8"), re.MULTILINE)
        assert set(named) <= targets, document
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE))


def test_results_that_the_benchmarks_quote_exist():
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    quoted = set(re.findall(r"`(?:bench/results/)?([\w-]+\.(?:json|txt))`", text))
    assert quoted
    assert {name for name in quoted if not (ROOT / "bench" / "results" / name).exists()} == set()


def test_architecture_lists_the_rooms_with_their_floors_highest_first():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    told = re.findall(r"^\| (\d+) \| \W*((?:index|hooks|assistant)[\w/]*)", text, re.MULTILINE)
    floors = {room.strip("/").replace("/", "."): int(floor) for floor, room in told}
    assert floors == FLOOR
    assert list(floors.values()) == sorted(floors.values(), reverse=True)


def test_every_decision_stands_in_the_list():
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in listed] == list(range(1, len(listed) + 1))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_commands_that_documents_show_exist(document):
    shown = set(re.findall(r"git copilot ([a-z]+)", document.read_text("utf-8")))
    assert shown <= set(COMMANDS)


def test_the_picture_of_the_readme_shows_a_run():
    picture = ElementTree.parse(ROOT / "docs" / "terminal.svg").getroot()
    text = "\n".join("".join(line.itertext()) for line in picture)
    shown = set(re.findall(r"\$ git copilot ([a-z]+)", text))
    assert shown == {"init", "search", "complete"}
    assert str(Path.home()) not in text


def test_the_socket_page_names_every_field_of_a_request():
    page = (ROOT / "docs" / "server-protocol.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`.*? \| (.*) \|$", page, re.MULTILINE))
    known = set(CompleteRequest("a.py:1", Path("/")).to_json())
    assert set(re.findall(r"`(\w+)`", rows["complete"])) - {"FILE", "LINE", "COL"} == known
    assert set(SearchRequest("x").to_json()) <= set(re.findall(r"`(\w+)`", rows["search"]))
