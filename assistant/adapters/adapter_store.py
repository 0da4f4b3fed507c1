"""Adapters on disk: ``<state>/adapters/<id>/``, and which of them is in use.

A folder appears complete or not at all. ``current`` holds the id in use and is replaced in one
rename; ``history`` lists the adapters that were in use, oldest first, for a rollback.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters.record import AdapterRecord
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors, sync_folder, write_atomically
from git_copilot.index.git.repository import GitRepository

FOLDER = "adapters"
CONFIG, WEIGHTS, EVIDENCE = "adapter_config.json", "adapter_model.safetensors", "evidence.json"
PAGE = "report.html"  # the report for a person, where completions were measured
COMMITS = "commits.txt"  # ids of the commits that it was trained on, newest first
CURRENT, HISTORY = "current", "history"
NONE = "none"
_ID = re.compile(r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{4}$")
TEMPORARY = ".new-"
HINT = "`git copilot adapter list` shows the adapters"
DAMAGED_HINT = (
    "choose another with `git copilot adapter rollback`, or train one with `git copilot refresh`"
)


def adapters_dir(state_dir: Path) -> Path:
    """The folder of all adapters."""
    return state_dir / FOLDER


def new_id(now: float | None = None) -> str:
    """A short id that sorts by time (UTC), such as ``20261121-034512-ab12``."""
    moment = time.gmtime(time.time() if now is None else now)
    return f"{time.strftime('%Y%m%d-%H%M%S', moment)}-{secrets.token_hex(2)}"


def write_text(path: Path, text: str) -> None:
    """Replace a small file of the adapters' folder in one step.

    :raises CopilotError: it cannot be written.
    """
    with os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())


def create(
    state_dir: Path, adapter: str, fill: Callable[[Path], None], report: dict[str, Any]
) -> Path:
    """Add an adapter: ``fill`` writes its files into a temporary folder, which is then renamed.

    :raises CopilotError: the disk is full or may not be written, or the files are not an adapter.
    """
    target = adapters_dir(state_dir) / adapter
    temporary = target.parent / f"{TEMPORARY}{adapter}"
    with os_errors(target):
        temporary.mkdir(parents=True)
        try:
            fill(temporary)
            write_report(temporary, report)
            for path in temporary.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            sync_folder(temporary)
            check_files(temporary, adapter)
            temporary.rename(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return target


def adapter_path(state_dir: Path, adapter: str) -> Path:
    """The folder of a complete adapter.

    :raises CopilotError: there is no adapter with this id, or its files are missing or truncated.
    """
    folder = adapters_dir(state_dir) / adapter
    if not _ID.match(adapter) or not folder.is_dir():
        raise CopilotError(f"there is no adapter {adapter!r}", HINT)
    check_files(folder, adapter)
    return folder


def path_for_model(state_dir: Path, adapter: str, model: str) -> Path:
    """The folder of a complete adapter of the base model ``model``.

    :raises CopilotError: as :func:`adapter_path`; or it was trained for another model.
    """
    folder, made_for = adapter_path(state_dir, adapter), base_model(state_dir, adapter)
    if made_for != model:
        raise CopilotError(
            f"the adapter {adapter} was trained for {made_for}, not for {model}",
            f"choose that model with `git config copilot.model {made_for}`",
        )
    return folder


def check_files(folder: Path, adapter: str) -> None:
    """:raises CopilotError: an adapter's files are missing or truncated."""
    try:
        if not isinstance(json.loads((folder / CONFIG).read_text("utf-8")), dict):
            raise TypeError(f"{CONFIG} is no object")
        _check_safetensors(folder / WEIGHTS)
    except FileNotFoundError as exc:
        name = Path(str(exc.filename)).name
        raise CopilotError(f"the adapter {adapter} lacks {name}", DAMAGED_HINT) from exc
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise CopilotError(f"the adapter {adapter} is damaged ({exc})", DAMAGED_HINT) from exc


def _check_safetensors(path: Path) -> None:
    """:raises ValueError: the header cannot be read, or the size is not what it promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= size - 8:
            raise ValueError(f"{path.name} is cut short")
        header = json.loads(file.read(length))
    ends = [int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError(f"{path.name} is cut short")


def record_of(state_dir: Path, adapter: str) -> AdapterRecord:
    """The record of an adapter.

    :raises CopilotError: there is no such adapter, or its report cannot be read.
    """
    facts = read_report(state_dir, adapter)
    return AdapterRecord.of(adapter, facts, current=recorded(state_dir) == adapter)


def read_report(state_dir: Path, adapter: str) -> dict[str, Any]:
    """The report of an adapter's training as it is on disk, perhaps of an older version.

    :raises CopilotError: there is no such adapter, or its report cannot be read.
    """
    folder = adapters_dir(state_dir) / adapter
    if not _ID.match(adapter) or not folder.is_dir():
        raise CopilotError(f"there is no adapter {adapter!r}", HINT)
    try:
        found = json.loads((folder / EVIDENCE).read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise CopilotError(f"the report of {adapter} cannot be read", DAMAGED_HINT) from exc
    return dict(found)


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Replace the report in an adapter's folder.

    :raises CopilotError: it cannot be written.
    """
    write_text(folder / EVIDENCE, json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def base_model(state_dir: Path, adapter: str) -> str:
    """The name of the model that an adapter was trained for.

    :raises CopilotError: there is no such adapter, or its report cannot be read.
    """
    return record_of(state_dir, adapter).base_model or ""


def trained_on(state_dir: Path, adapter: str) -> frozenset[str]:
    """The commits that an adapter was trained on; none where it does not say."""
    return frozenset(read_commits(adapters_dir(state_dir) / adapter))


def read_commits(folder: Path) -> list[str]:
    """The commits that the adapter in ``folder`` was trained on, newest first; none where it does
    not say."""
    try:
        return (folder / COMMITS).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []


def ids(state_dir: Path) -> list[str]:
    """The ids of all adapters, oldest first, whether or not their files are complete."""
    folder = adapters_dir(state_dir)
    return sorted(p.name for p in folder.iterdir() if _ID.match(p.name)) if folder.is_dir() else []


def list_adapters(state_dir: Path) -> list[AdapterRecord]:
    """The records of all adapters, oldest first, whether or not their files are complete."""
    current = current_adapter(state_dir)
    records = []
    for adapter in ids(state_dir):
        try:
            facts = read_report(state_dir, adapter)
        except CopilotError:
            facts = {}
        records.append(AdapterRecord.of(adapter, facts, current=adapter == current))
    return records


def current_adapter(state_dir: Path) -> str | None:
    """The adapter in use, or ``None``, also when it is missing or damaged (see
    :func:`current_warning`)."""
    adapter = recorded(state_dir)
    return adapter if adapter and current_warning(state_dir) is None else None


def current_warning(state_dir: Path) -> str | None:
    """The reason why the chosen adapter is not in use, or ``None``."""
    adapter = recorded(state_dir)
    if adapter is None:
        return None
    try:
        adapter_path(state_dir, adapter)
    except CopilotError as exc:
        return str(exc)
    return None


def recorded(state_dir: Path) -> str | None:
    """The adapter that was put in use, whether or not it is still there."""
    try:
        adapter = (adapters_dir(state_dir) / CURRENT).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return adapter if adapter and adapter != NONE else None


def history(state_dir: Path) -> list[str]:
    """The adapters that were in use, oldest first; ``"none"`` stands for the base model."""
    try:
        return (adapters_dir(state_dir) / HISTORY).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []


def use(state_dir: Path, adapter: str | None) -> None:
    """Put an adapter in use, or the base model (``None``).

    :raises CopilotError: it is missing or damaged, or the state cannot be written.
    """
    if adapter is not None:
        adapter_path(state_dir, adapter)
    folder, past = adapters_dir(state_dir), history(state_dir)
    name = adapter or NONE
    # `current` first: a kill in between leaves an id that is not in the history, which rollback
    # takes to be the newest.
    write_text(folder / CURRENT, f"{name}\n")
    if not past or past[-1] != name:
        write_text(folder / HISTORY, "".join(f"{x}\n" for x in [*past, name]))


def rollback(state_dir: Path) -> str | None:
    """Go back to the adapter that was in use before; missing and damaged ones are skipped.

    :return: the id in use now, ``None`` for the base model.
    :raises CopilotError: no adapter was in use before.
    """
    past, now = history(state_dir), recorded(state_dir) or NONE
    if now in past:
        past = past[: len(past) - 1 - past[::-1].index(now)]
    if not past and now == NONE:
        raise CopilotError("no adapter was in use before", "`git copilot refresh` trains one")
    while past and past[-1] != NONE:
        try:
            adapter_path(state_dir, past[-1])
            break
        except CopilotError:
            past.pop()
    target = past[-1] if past else NONE
    write_text(adapters_dir(state_dir) / CURRENT, f"{target}\n")
    write_text(adapters_dir(state_dir) / HISTORY, "".join(f"{x}\n" for x in past))
    return None if target == NONE else target


def adapter_at(repo: GitRepository, commit: str) -> str | None:
    """The newest promoted adapter that knows nothing newer than ``commit``: all commits that it
    was trained or evaluated on are ancestors of ``commit``."""
    for record in reversed(list_adapters(repo.state_dir)):
        if not record.promoted:
            continue
        newest = record.newest_commits()
        known = all(
            repo.try_run("merge-base", "--is-ancestor", oid, commit)[0] == 0 for oid in newest
        )
        if newest and known:
            return record.id
    return None
