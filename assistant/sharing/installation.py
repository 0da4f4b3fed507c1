"""Installs adapters that a remote has, each of them checked, and puts the newest winner in use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.sharing.adapter_commits import (
    AdapterCommit,
    AdapterRef,
    blob_ids,
    file_sha256,
    read_commit,
    without_replacements,
)
from git_copilot.assistant.sharing.checks import (
    DEFAULT_LIMITS,
    Limits,
    check_folder,
    refusal,
    tree_files,
)
from git_copilot.assistant.sharing.exchange import fetch_adapters
from git_copilot.assistant.sharing.signatures import require_signature
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors, sync_folder
from git_copilot.index.git.repository import GitRepository

SIGNED, ANY = "signed", "any"  # values of copilot.adapterTrust
_COPIED_AT_ONCE = 1 << 20
# The parts that decide what an adapter does; its evidence may have been renewed since.
_ADAPTER = (adapter_store.CONFIG, adapter_store.WEIGHTS)


@dataclass(slots=True)
class Pulled:
    """What a pull did: ids that were ``installed``, those that were ``present`` with the same
    content, and the errors of those that were ``refused``; ``used`` was put in use."""

    remote: str
    installed: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    refused: dict[str, CopilotError] = field(default_factory=dict)
    used: str | None = None


def pull_adapters(
    repo: GitRepository,
    remote: str,
    settings: Settings,
    *,
    only: str | None = None,
    use: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> Pulled:
    """Fetch the adapters of a remote, and install those that pass every check.

    :param only: the id of one adapter, instead of all of them.
    :param use: put the newest promoted one for the configured model in use, if one is new here, or
        if none is in use.
    :raises CopilotError: the remote cannot be reached, lacks the adapter that was named, or the only
        adapter in question is refused.
    """
    repo = without_replacements(repo)
    refs = fetch_adapters(repo, remote)
    if only is not None:
        refs = [each for each in refs if each.id == only]
        if not refs:
            raise CopilotError(
                f"{remote} has no adapter {only!r}",
                "`git copilot adapter fetch` lists those it has",
            )
    pulled = Pulled(remote)
    for each in refs:
        try:
            new = _install_checked(repo, each, settings.adapter_trust, limits)
        except CopilotError as exc:
            if len(refs) == 1:
                raise
            pulled.refused[each.id] = exc
            continue
        (pulled.installed if new else pulled.present).append(each.id)
    if use:
        pulled.used = _use_newest(repo.state_dir, pulled, settings.model, named=only is not None)
    return pulled


def _install_checked(repo: GitRepository, found: AdapterRef, trust: str, limits: Limits) -> bool:
    """Check an adapter and install it.

    :return: whether it is new here.
    :raises CopilotError: it fails a check, or another one has its id.
    """
    commit = read_commit(repo, found)
    if trust != ANY:
        require_signature(repo, commit.id, commit.oid, signed=commit.signed)
    files = tree_files(repo, commit, limits)
    target = adapter_store.adapters_dir(repo.state_dir) / commit.id
    if _is_here(repo, target, files):
        return False

    def fill(folder: Path) -> None:
        for name, oid in files.items():
            _copy_blob(repo, oid, folder / name)
        if file_sha256(folder / adapter_store.WEIGHTS) != commit.sha256:
            raise refusal(commit.id, "the sha256 of its weights is not that of its commit")
        if check_folder(folder, commit.id) != commit.base_model:
            raise refusal(commit.id, "its evidence is for another base model than its commit")

    with _reported_as_refused(commit):
        install(target, fill)
    return True


def _is_here(repo: GitRepository, target: Path, files: Mapping[str, str]) -> bool:
    """:raises CopilotError: another adapter has this id."""
    if not os.path.lexists(target):
        return False
    here = blob_ids(repo, target)
    if any(here.get(name) != files[name] for name in _ADAPTER):
        raise CopilotError(
            f"another adapter {target.name} is already here",
            "nothing was changed; keep one of them",
        )
    return True


@contextmanager
def _reported_as_refused(commit: AdapterCommit) -> Iterator[None]:
    """The adapter is not here yet: the remedy for a damaged one of this repository is no help."""
    try:
        yield
    except CopilotError as exc:
        if exc.hint == adapter_store.DAMAGED_HINT:
            raise refusal(commit.id, exc.message) from exc
        raise


def _copy_blob(repo: GitRepository, oid: str, target: Path) -> None:
    with repo.reader().stream("cat-file", "blob", oid) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, _COPIED_AT_ONCE)


def install(target: Path, fill: Callable[[Path], None]) -> None:
    """Add the folder of an adapter, complete or not at all: ``fill`` writes a temporary one, which
    is then renamed.

    :raises CopilotError: the disk is full, the folder may not be written, or what ``fill`` raises.
    """
    temporary = target.parent / f"{adapter_store.TEMPORARY}{target.name}.{os.getpid()}"
    with os_errors(target):
        shutil.rmtree(temporary, ignore_errors=True)  # a killed process had the same number
        temporary.mkdir(parents=True)
        try:
            fill(temporary)
            for path in temporary.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            sync_folder(temporary)
            temporary.rename(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _use_newest(state: Path, pulled: Pulled, model: str, *, named: bool) -> str | None:
    """Put the newest promoted adapter for this model in use. One in use that is newer stays, unless
    the user named the other."""
    current = adapter_store.current_adapter(state)
    candidates = []
    for adapter in (*pulled.installed, *pulled.present):
        record = adapter_store.record_of(state, adapter)
        if record.promoted is True and record.base_model == model:
            candidates.append(adapter)
    chosen = max(candidates, default=None)
    if chosen is None or chosen == current or not (pulled.installed or current is None):
        return None
    if current is not None and current > chosen and not named:
        return None
    adapter_store.use(state, chosen)
    return chosen
