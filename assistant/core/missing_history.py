"""Reports what is not mined or indexed because objects are missing, and how to fetch them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from git_copilot.hooks.doctor import Finding
from git_copilot.hooks.events import Event
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from git_copilot.index.sync.revisit import Lacks, lacks, remedy

FETCHED = "fetched"


def lack_facts(repo: GitRepository, db: Database) -> dict[str, Any]:
    """For ``--json``: the counts of :class:`Lacks`, and the command that fetches them."""
    found = lacks(repo, db)
    return {**asdict(found), "remedy": remedy(repo, found)}


def lack_lines(facts: Mapping[str, Any]) -> list[str]:
    """The facts in sentences; none when nothing is missing."""
    found = Lacks(**{key: value for key, value in facts.items() if key != "remedy"})
    lines = []
    if found.commits:
        lines.append(
            f"{_count(found.commits, 'commit')} of a partial clone: no examples, "
            f"{_count(found.versions, 'object')} missing"
        )
    if found.files:
        lines.append(f"{_count(found.files, 'file')} of HEAD not indexed: objects missing")
    if found.shallow:
        lines.append(f"a shallow clone: no examples of {_count(found.shallow, 'boundary commit')}")
    if found.limit:
        lines.append(f"only the newest {found.limit:,} commits are used (copilot.historyCommits)")
    if facts["remedy"]:
        lines.append(
            f"`{facts['remedy']}` fetches the missing objects; then run `git copilot index`"
        )
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def examine_lacks(repo: GitRepository, db: Database) -> Finding:
    """The finding of ``doctor``."""
    facts = lack_facts(repo, db)
    told = "; ".join(line for line in lack_lines(facts) if not line.startswith("`"))
    if facts["remedy"]:
        return Finding("objects", "warn", told, f"{facts['remedy']} && git copilot index")
    return Finding("objects", "ok", told or "no objects of HEAD and its history are missing")


def ask_for_mining(repo: GitRepository) -> None:
    """Tell the worker that objects were fetched. A fetch runs no hook."""
    spool = Spool(repo.state_dir)
    if not spool.pending():
        spool.append(Event(FETCHED, str(repo.git_dir)))
        start_worker(repo.state_dir)
