"""``config``: every setting with its value, default, unit and where it is set; sets and unsets one."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.core.config import (
    REPOSITORY_DEFAULTS,
    parse_settings,
    repository_defaults,
    skipped_settings,
)
from git_copilot.assistant.core.setting_help import SettingHelp, all_settings
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository

DEFAULT = "default"
# git's exit status of `config --unset` for a key that is not set.
NOT_SET = 5


@dataclass(frozen=True, slots=True)
class _Row:
    """One setting as it holds here. ``scope`` is git's (``local``, ``global`` …), ``committed``
    or ``default``; ``origin`` the file that sets it."""

    name: str
    value: str
    default: str
    unit: str
    choices: tuple[str, ...]
    scope: str
    origin: str
    help: str


@click.command("config")
@click.argument("key", required=False, metavar="[KEY")
@click.argument("value", required=False, metavar="[VALUE]]")
@click.option(
    "--global", "everywhere", is_flag=True, help="Set it for all your repositories (global)."
)
@click.option("--unset", is_flag=True, help="Remove the value from the configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def config_command(
    host: Host,
    /,
    key: str | None,
    value: str | None,
    everywhere: bool,
    unset: bool,
    as_json: bool,
) -> int:
    """List all settings, print the value of KEY, or set it to VALUE.

    The listing says for each setting its value, its default, its unit and where it is set. Values
    are kept in git's configuration, so `git config copilot.KEY` works as well.
    """
    if unset and (key is None or value is not None):
        raise click.UsageError("--unset needs KEY and no VALUE")
    if everywhere and value is None and not unset:
        raise click.UsageError("--global needs a VALUE, or --unset")
    # The repository's own configuration counts only once the repository is known.
    changes_it = (value is not None or unset) and not everywhere
    repo = known_repository() if changes_it else GitRepository.discover()
    if key is None:
        _print_all(host.terminal, _rows(repo), as_json=as_json)
        return 0
    wanted = _find(key)
    if value is not None or unset:
        _change(repo, wanted, value, "--global" if everywhere else "--local", host.terminal)
    row = next(r for r in _rows(repo) if r.name == wanted.name)
    if as_json:
        host.terminal.echo(json.dumps(asdict(row)))
    elif value is None and not unset:
        host.terminal.echo(row.value)
    else:
        host.terminal.note(f"{row.name} is {row.value!r} here, set in {_place(row)}")
    return 0


def _find(key: str) -> SettingHelp:
    """Find a setting by name, with or without ``copilot.``, in any case.

    :raises CopilotError: there is no such setting.
    """
    known = {setting.key: setting for setting in all_settings()}
    plain = key.lower().removeprefix("copilot.")
    if plain in known:
        return known[plain]
    near = difflib.get_close_matches(plain, known, n=1)
    hint = f"did you mean {known[near[0]].name}?" if near else "`git copilot config` lists them"
    raise CopilotError(f"unknown setting {key!r}", hint)


def _change(
    repo: GitRepository, setting: SettingHelp, value: str | None, scope: str, terminal: Terminal
) -> None:
    if value is None:
        code, _, message = repo.try_run("config", scope, "--unset-all", setting.name)
        if code == NOT_SET:
            terminal.note(f"{setting.name} was not set in the {scope[2:]} configuration")
            return
    else:
        _check(setting, value)
        code, _, message = repo.try_run("config", scope, "--replace-all", setting.name, value)
    if code:
        raise CopilotError(
            f"{setting.name} cannot be changed ({message.removeprefix('error: ')})",
            "check the permissions of git's configuration file",
        )


def _check(setting: SettingHelp, value: str) -> None:
    """:raises CopilotError: the setting cannot have this value."""
    if setting.key == "secrets" and value not in setting.choices:
        raise CopilotError(
            f"{setting.name} cannot be {value!r}", f"choose {' or '.join(setting.choices)}"
        )
    parse_settings({setting.key: value})


def _rows(repo: GitRepository) -> list[_Row]:
    """Every setting; the last entry that git names for a key is the one that holds."""
    committed, _ = repository_defaults(repo)
    held = {key: (value, "committed", REPOSITORY_DEFAULTS) for key, value in committed.items()}
    skipped = skipped_settings(repo)
    for entry in repo.config_entries("copilot"):
        if entry in skipped:
            continue
        held[entry.key] = (entry.value, entry.scope, entry.origin)
    rows = []
    for setting in all_settings():
        value, scope, origin = held.get(setting.key, (setting.default, DEFAULT, ""))
        rows.append(_row(setting, value, scope, origin))
    return rows


def _row(setting: SettingHelp, value: str, scope: str, origin: str) -> _Row:
    return _Row(
        name=setting.name,
        value=value,
        default=setting.default,
        unit=setting.unit,
        choices=setting.choices,
        scope=scope,
        origin=origin,
        help=setting.text,
    )


def _place(row: _Row) -> str:
    return f"{row.scope} ({row.origin})" if row.origin else row.scope


def _print_all(terminal: Terminal, rows: list[_Row], *, as_json: bool) -> None:
    if as_json:
        terminal.echo(json.dumps([asdict(row) for row in rows]))
        return
    names = max(len(row.name) for row in rows)
    for row in rows:
        unit = f" {row.unit}" if row.unit and row.value else ""
        changed = "" if row.scope == DEFAULT else f"; default {row.default or 'none'}"
        terminal.echo(
            f"{row.name:<{names}}  {row.value or '(none)'}{unit}  [{_place(row)}{changed}]"
        )
        choices = f" ({', '.join(row.choices)})" if row.choices else ""
        terminal.echo(f"{'':<{names}}  {row.help}{choices}")
