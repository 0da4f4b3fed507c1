"""The checks of ``git copilot doctor``: hooks, index, models and settings.

Imports nothing heavy and repairs nothing, so it answers quickly whatever is broken.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.client import address, transport
from git_copilot.assistant.client.server_log import last_death, log_path
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import (
    Settings,
    cache_dir,
    display_name,
    load_settings,
    parse_settings,
    repository_defaults,
    skipped_settings,
)
from git_copilot.assistant.core.error_handler import package_version
from git_copilot.assistant.core.missing_history import examine_lacks
from git_copilot.assistant.diagnostics.adapter_watch import watch_adapter
from git_copilot.assistant.diagnostics.endpoint_check import examine_endpoint
from git_copilot.assistant.diagnostics.integrity import examine_integrity
from git_copilot.assistant.diagnostics.precision_check import examine_precision
from git_copilot.assistant.diagnostics.status import is_fresh
from git_copilot.assistant.models.catalogue import canonical, resolve_model
from git_copilot.assistant.models.pull import damage
from git_copilot.hooks.backlog import examine_backlog
from git_copilot.hooks.doctor import CheckResult, Level, examine_git, examine_hooks
from git_copilot.index.audit.exclusions import LIMITS, count_left_out
from git_copilot.index.core.errors import CopilotError, GitError, ModelError, NotARepository
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import ADOPT_HINT, is_trusted
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database

SERVER_SECONDS = 0.5
LOW_MB, FULL_MB = 1000, 50
# A larger part of the files than this is worth a warning when limits of ours keep it out.
MANY_LEFT_OUT = 0.1
# Settings that are not in Settings: here the action of the secrets hook (hooks.check).
CHOICES = {"secrets": ("warn", "refuse")}
SNAPSHOT = "vectors.faiss"  # as in index.vectors, which would cost the import of FAISS


def examine(*, thorough: bool = False) -> list[CheckResult]:
    """Everything that can be said of this place: in a repository, in one that was never
    initialised, or outside of any. ``thorough`` sets no time limit to the database's check."""
    try:
        repo = GitRepository.discover()
    except NotARepository as exc:
        found = [CheckResult("repository", "warn", exc.message, "cd into a repository")]
        return [*found, *_server(), *_disk(cache_dir())]
    except GitError as exc:
        return [_vetoed(exc)]
    return list(_in_repository(repo, thorough))


def _in_repository(repo: GitRepository, thorough: bool) -> Iterator[CheckResult]:
    place = repo.root or repo.git_dir
    ours = is_trusted(repo.state_dir)
    known = ours and (repo.state_dir / DATABASE_NAME).exists()
    if known:
        yield CheckResult("repository", "ok", f"{place}, known in {repo.state_dir}")
    elif ours or not os.path.lexists(repo.state_dir):
        told = f"git-copilot is not set up in {place}"
        yield CheckResult("repository", "warn", told, "git copilot init")
    else:
        told = f"{repo.state_dir} is not trusted: it may not be yours"
        yield CheckResult("repository", "warn", told, ADOPT_HINT)
    if ours:  # else nothing of it is run or read: its interpreter may be anything
        yield from examine_hooks(repo, package_version())
        yield from examine_backlog(repo)
    else:
        yield examine_git(repo)
    problems = list(_settings(repo))
    yield from problems or [CheckResult("settings", "ok", "all recognised, with valid values")]
    settings = Settings()
    with contextlib.suppress(CopilotError):
        settings = load_settings(repo)
    if known:
        yield from _database(repo, settings, thorough)
    yield from _models(settings)
    yield examine_precision(settings)
    yield from _endpoint(repo, settings, known)
    yield from _server()
    yield from _disk(repo.state_dir, cache_dir())


def _vetoed(exc: GitError) -> CheckResult:
    """Git itself refuses to work here."""
    place = re.search(r"dubious ownership in repository at '(.*?)'", exc.message)
    if place is None:
        return CheckResult("repository", "fail", exc.message, exc.hint)
    told = f"{place[1]} belongs to another user, so git refuses to work there"
    return CheckResult("repository", "fail", told, _command(exc.hint))


def _settings(repo: GitRepository) -> Iterator[CheckResult]:
    """Misspelt and malformed settings, each with the scope in which it stands."""
    known = {
        name.replace("_", ""): name for name in (*CHOICES, *(f.name for f in fields(Settings)))
    }
    for key in dict.fromkeys(entry.key for entry in skipped_settings(repo)):
        told = f"{display_name(key)} of this repository's own configuration is skipped until `init`"
        yield CheckResult("settings", "warn", told, "git copilot init")
    for entry in repo.config_entries("copilot"):
        key, value = entry.key, entry.value
        name = display_name(key) if key in known else f"copilot.{key}"
        unset = f"git config --{entry.scope} --unset {name}"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            guess = f"; did you mean {display_name(known[near[0]])}?" if near else ""
            yield CheckResult(
                "settings", "warn", f"{name} is not a setting of git-copilot{guess}", unset
            )
        elif key in CHOICES and value not in CHOICES[key]:
            told = f"{name} is {value!r}, not {' or '.join(CHOICES[key])}"
            yield CheckResult("settings", "fail", told, unset)
        else:
            try:
                parse_settings({key: value})
            except CopilotError as exc:
                yield CheckResult("settings", "fail", exc.message, unset)
    yield from _committed(repo)


def _committed(repo: GitRepository) -> Iterator[CheckResult]:
    """What of a committed `.gitcopilot` is skipped or limited."""
    for problem in repository_defaults(repo)[1]:
        yield CheckResult("settings", "warn", problem.reason, problem.remedy)


def _database(repo: GitRepository, settings: Settings, thorough: bool) -> Iterator[CheckResult]:
    path = repo.state_dir / DATABASE_NAME
    whole = examine_integrity(path, thorough=thorough)
    yield whole
    if whole.level != "ok":
        return
    try:
        with Database(path) as db:
            yield _level(repo, db)
            yield examine_lacks(repo, db)
            counts = views.view_counts(db, repo.view_name, settings.embedder)
            told = (
                f"{counts['files']} files, {counts['chunks']} chunks, {counts['vectors']} vectors"
            )
            if counts["vectors"] < counts["chunks"]:
                missing = counts["chunks"] - counts["vectors"]
                told = f"{told}: {missing} chunks are found by words only"
                yield CheckResult("vectors", "warn", told, "git copilot index")
            else:
                yield CheckResult("vectors", "ok", told)
            yield _snapshot(repo.state_dir, db.identity)
            yield from _left_out(repo, db, counts["files"])
            yield from _adapter(RepositoryContext(repo, db, settings))
    except CopilotError as exc:
        yield CheckResult("database", "fail", exc.message, _command(exc.hint))


def _adapter(context: RepositoryContext) -> Iterator[CheckResult]:
    """Whether the adapter in use is whole, and what speaks against it."""
    warning = adapter_store.current_warning(context.state_dir)
    if warning is not None:
        yield CheckResult("adapter", "warn", warning, "git copilot adapter rollback")
    current = adapter_store.current_adapter(context.state_dir)
    if current is not None:
        for remark in watch_adapter(context, current):
            yield CheckResult("adapter", "warn", remark.text, remark.remedy)


def _left_out(repo: GitRepository, db: Database, files: int) -> Iterator[CheckResult]:
    """Files that a limit of ours keeps out, where they are many."""
    found = count_left_out(repo, db, repo.view_name)
    by_limits = {reason: number for reason, number in found.items() if reason in LIMITS}
    number = sum(by_limits.values())
    if number > MANY_LEFT_OUT * (files + number):
        said = ", ".join(f"{count} {reason}" for reason, count in by_limits.items())
        told = f"{number} of {files + number} files are not known: {said}"
        yield CheckResult("left out", "warn", told, "git copilot index --why PATH")
    elif found:
        told = f"{sum(found.values())} files, {number} of them by a limit of size"
        yield CheckResult("left out", "ok", told)


def _level(repo: GitRepository, db: Database) -> CheckResult:
    tree = views.view_tree(db, repo.view_name)
    if is_fresh(repo, tree):
        return CheckResult("index", "ok", f"matches HEAD ({(tree or 'nothing')[:12]})")
    told = f"is of {tree[:12] if tree else 'nothing'}, not of HEAD; the next query updates it"
    return CheckResult("index", "warn", told, "git copilot index")


def _snapshot(state: Path, identity: str) -> CheckResult:
    """Whether the vectors' file can be what its facts say; FAISS is not asked."""
    path = state / SNAPSHOT
    if not path.exists():
        return CheckResult("snapshot", "ok", "none yet: vectors are read from the database")
    try:
        facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
        whole = path.stat().st_size == facts["bytes"] and path.open("rb").read(2) == b"Ix"
        count, database = int(facts["vectors"]), facts["database"]
    except (OSError, ValueError, KeyError, TypeError):
        whole, count, database = False, 0, identity
    if not whole:
        told = f"{path} cannot be read; vectors are read from the database, which takes longer"
        return CheckResult("snapshot", "warn", told, f"rm '{path}'  # it will be rebuilt")
    if database != identity:
        return CheckResult("snapshot", "ok", "of an older database; it will be rebuilt")
    return CheckResult("snapshot", "ok", f"{count} vectors")


def _models(settings: Settings) -> Iterator[CheckResult]:
    for check, name in (("model", settings.model), ("embedder", settings.embedder)):
        try:
            folder = resolve_model(name)
            if broken := damage(folder):
                told = f"{folder / broken} is damaged"
                yield CheckResult(check, "fail", told, f"git copilot model pull {name}")
                continue
            yield CheckResult(check, "ok", f"{name} in {folder}")
        except ModelError as exc:
            if check == "model" and settings.endpoint:
                yield CheckResult(
                    check, "ok", f"{name} is not downloaded; copilot.endpoint is used"
                )
                continue
            # Without an embedder, words and definitions are found all the same.
            level: Level = "fail" if check == "model" else "warn"
            yield CheckResult(check, level, exc.message, _command(exc.hint))


def _endpoint(repo: GitRepository, settings: Settings, known: bool) -> Iterator[CheckResult]:
    """Whether the configured server is there and can do what it is asked for."""
    adapter = adapter_store.current_adapter(repo.state_dir) if known else None
    found = examine_endpoint(
        settings, canonical(settings.model, repo.root or repo.git_dir), adapter
    )
    if found is not None:
        yield found


def _server() -> Iterator[CheckResult]:
    folder = address.runtime_dir()
    with contextlib.suppress(OSError):
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            told = f"{folder} is not a private folder of yours: no server can start"
            yield CheckResult("server", "warn", told, f"mv '{folder}' elsewhere")
            return
    try:
        answer = transport.ask({"op": "status"}, SERVER_SECONDS)
    except (transport.ServerSilent, OSError, ValueError):
        told = f"a server is running but did not answer within {SERVER_SECONDS:g} s: busy, or stuck"
        yield CheckResult("server", "warn", told, "git copilot serve --stop")
        return
    now = f"process {answer.get('pid')} answers" if answer else "none runs; `complete` starts one"
    death = last_death()
    if answer and answer.get("http_problem"):
        told = f"{now}, without HTTP: {answer['http_problem']}"
        yield CheckResult("server", "warn", told, "git copilot serve --stop")
    elif death is None:
        yield CheckResult("server", "ok", now)
    else:
        yield CheckResult("server", "warn", f"{now}; {death}", f"tail '{log_path()}'")


def _disk(*folders: Path) -> Iterator[CheckResult]:
    """Room where the state lies and where models do, or would."""
    disks: dict[int, Path] = {}
    for folder in folders:
        while not folder.exists():
            folder = folder.parent
        disks.setdefault(folder.stat().st_dev, folder)
    for folder in disks.values():
        free = shutil.disk_usage(folder).free // 2**20
        level: Level = "fail" if free < FULL_MB else "warn" if free < LOW_MB else "ok"
        told = f"{free} MB free for {folder}"
        yield CheckResult("disk", level, told, "" if level == "ok" else "free some disk space")


def _command(hint: str) -> str:
    """The command that a hint names, or the hint."""
    found = re.search(r"`([^`]+)`", hint)
    return found[1] if found else hint
