"""``hooks``, and its commands' older names ``install`` and ``uninstall``."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import click

from git_copilot.assistant.cli.commands.doctor import failed, print_findings
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.core.config import cache_dir
from git_copilot.assistant.core.error_handler import package_version
from git_copilot.assistant.models.removal import cached_bytes
from git_copilot.assistant.sharing.adapter_commits import drop_all_refs
from git_copilot.hooks.doctor import CheckResult, examine_git, examine_hooks
from git_copilot.hooks.install import InstallReport, install, uninstall
from git_copilot.hooks.launch import stop_worker
from git_copilot.hooks.sources import installed_hooks
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import is_trusted, revoke_trust


def tell_hooks(host: Host, repo: GitRepository, report: InstallReport) -> None:
    """Report which hooks are installed."""
    names = ", ".join(report.hooks) or "none"
    host.terminal.echo(f"hooks     {names}" + ("" if report.changed else " (as before)"))
    for note in report.notes:
        host.terminal.echo(f"          {note}")
    if repo.root is None:
        host.terminal.echo("          a bare repository: only pushes change it, no hook fires")


@click.command("install")
@click.pass_obj
def install_command(host: Host, /) -> int:
    """Install the hooks, beside existing ones."""
    repo = GitRepository.discover()
    tell_hooks(host, repo, install(repo))
    return 0


@click.command("uninstall")
@click.option("--purge", is_flag=True, help="Also delete the index, the corpus and all adapters.")
@click.pass_obj
def uninstall_command(host: Host, /, purge: bool) -> int:
    """Remove the hooks; every hook file becomes what it was before."""
    repo = GitRepository.discover()
    report = uninstall(repo)
    host.terminal.echo(f"removed   {', '.join(report.hooks) or 'no hooks of git-copilot'}")
    for note in report.notes:
        host.terminal.echo(f"          {note}")
    if purge and os.path.lexists(repo.state_dir):
        _purge(repo.state_dir)
        host.terminal.echo(f"deleted   {repo.state_dir}")
    if purge and (count := drop_all_refs(repo)):
        host.terminal.echo(
            f"deleted   {count} refs below refs/copilot; what a remote has stays there"
        )
    if purge and (kept := cached_bytes()):
        host.terminal.echo(
            f"kept      models for all repositories in {cache_dir()}, {kept // 10**6} MB;"
            " delete that folder, or one of them with `git copilot model remove NAME`"
        )
    return 0


def _purge(state_dir: Path) -> None:
    """Delete the state folder; where it is a link to one of ours, that one too."""
    known = is_trusted(state_dir)
    if known:
        stop_worker(state_dir)
    revoke_trust(state_dir)
    if state_dir.is_symlink():
        target = state_dir.resolve()
        state_dir.unlink()
        if known:
            shutil.rmtree(target)
    else:
        shutil.rmtree(state_dir)  # follows no link


@click.group("hooks")
def hooks_command() -> None:
    """Install, remove or list the git hooks."""


hooks_command.add_command(install_command)
hooks_command.add_command(uninstall_command)


@hooks_command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def hooks_status(host: Host, /, as_json: bool) -> int:
    """Show which hook runs for each git event, and through which manager."""
    repo = GitRepository.discover()
    if is_trusted(repo.state_dir):
        findings = list(examine_hooks(repo, package_version()))
    else:  # whatever lies there, its interpreter may be anything
        told = "git-copilot is not set up in this repository"
        findings = [examine_git(repo), CheckResult("hooks", "warn", told, "git copilot init")]
    if as_json:
        found = installed_hooks(repo)
        facts = {"installed": found.installed, "via": found.via}
        rows = [dataclasses.asdict(finding) for finding in findings]
        host.terminal.echo(json.dumps({**facts, "findings": rows}))
    else:
        print_findings(host, findings)
    return failed(findings)
