"""``eval``: the arms of a refresh on any range of commits, without training."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import read_learnt
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Cut, read_cuts, retrieve
from git_copilot.assistant.dataset.leakage import drop_known
from git_copilot.assistant.dataset.split import commit_span, in_turn
from git_copilot.assistant.evaluation import report
from git_copilot.assistant.evaluation.arms import Judge
from git_copilot.assistant.evaluation.metrics import compare
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError, GitError
from git_copilot.index.core.types import Embedder, Hole, Progress, no_progress
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

DEFAULT_HOLES = 200


def run_eval(
    repo: GitRepository,
    db: Database,
    settings: Settings,
    *,
    commits_range: str | None,
    adapter: str | None,
    embedder: Embedder | None,
    vectors: VectorIndex | None,
    held_out_holes: int | None = None,
    progress: Progress = no_progress,
    on_note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure the base, the adapter in use (``incumbent``) and another one (``candidate``).

    Commits that an adapter learnt from, what came before, and copies of their code are left out.

    :param commits_range: as ``git rev-list`` takes it (``v1.0..main``); all of HEAD's history by
        default, of which the newest ``held_out_holes`` count.
    :param adapter: an id, ``"none"``, or ``None`` for the one in use.
    :return: the evidence of a refresh, as far as it applies; ``delta_em`` and what follows it are
        of ``candidate`` over ``base``.
    :raises CopilotError: the range or the adapter does not exist, or nothing is left to measure.
    """
    begun = time.monotonic()
    folder = resolve_model(settings.model)
    state = repo.state_dir
    current = _current(state, settings, on_note)
    chosen = None if adapter == "none" else adapter or current
    paths = {a: _path(state, a, settings) for a in (current, chosen) if a is not None}
    mine(repo, db, limit=settings.history_commits, progress=progress)
    holes = _holes(repo, db, commits_range, list(paths), held_out_holes or DEFAULT_HOLES)
    judge = Judge(folder, settings, TextTokenizer.load(folder, settings.model), progress)
    learnt = _learnt(repo, db, list(paths), on_note)
    cuts, copies = drop_known(read_cuts(repo, holes), learnt, _reach(settings))
    hits = retrieve(
        repo, db, cuts, settings, embedder=embedder, vectors=vectors, judged=len(cuts),
        progress=progress,
    )  # fmt: skip
    held = judge.hold(cuts, hits, repo.name)
    if not held.plain:
        wanted = "is new to the adapter" if copies else "can be read"
        raise CopilotError(f"no hole of these commits {wanted}", "name other commits")
    base = judge.arm(held, None, "base model")
    measured = {a: judge.arm(held, path, f"adapter {a}") for a, path in paths.items()}
    incumbent = measured.get(current or "")
    candidate = measured.get(chosen or "", base)
    return {
        "candidate": chosen,
        "incumbent": current,
        "base_model": settings.model,
        "commits": {"held_out": commit_span([e.hole for e in held.plain])},
        "holes": {"held_out": len(held.plain)},
        "copies_dropped": copies,
        "arms": report.arms(base, incumbent, candidate),
        **report.statistics(compare(base.retrieval, candidate.retrieval, settings.seed)),
        "seed": settings.seed,
        "settings": report.settings_shown(settings),
        "seconds": round(time.monotonic() - begun, 1),
    }


def _path(state: Path, adapter: str, settings: Settings) -> Path:
    path = adapter_store.adapter_path(state, adapter)
    made_for = adapter_store.base_model(state, adapter)
    if made_for != settings.model:
        raise CopilotError(
            f"the adapter {adapter} was trained for {made_for}, not for {settings.model}",
            f"choose that model with `git config copilot.model {made_for}`",
        )
    return path


def _learnt(
    repo: GitRepository, db: Database, used: list[str], on_note: Callable[[str], None]
) -> list[Cut]:
    """The holes that the adapters in ``used`` learnt from, or all of the commits that they name
    where they say no more."""
    holes: dict[Hole, None] = {}
    for adapter in used:
        found = read_learnt(adapter_store.adapter_path(repo.state_dir, adapter))
        if found is None:
            found = load_holes(db, sorted(adapter_store.trained_on(repo.state_dir, adapter)))
        holes.update(dict.fromkeys(found))
    cuts = read_cuts(repo, list(holes))
    if len(cuts) < len(holes) or (used and not holes):
        lost = f"{len(holes) - len(cuts)} of the holes" if holes else "every hole"
        on_note(f"{lost} that the adapter learnt from cannot be read: copies cannot be told")
    return cuts


def _reach(settings: Settings) -> int:
    """More characters than a training prompt showed on a side of its hole: it had half the tokens
    of one that is answered, and a token of code has some three characters, not eight."""
    return settings.prompt_tokens * 4


def _current(state: Path, settings: Settings, on_note: Callable[[str], None]) -> str | None:
    """The adapter in use, if it is for the model of the settings."""
    current = adapter_store.current_adapter(state)
    if current is not None and adapter_store.base_model(state, current) != settings.model:
        on_note(f"the adapter {current} was trained for another model and is left out")
        return None
    return current


def _holes(
    repo: GitRepository, db: Database, commits_range: str | None, used: list[str], count: int
) -> list[Hole]:
    """The newest holes of a range that no adapter in ``used`` learnt from, of each commit in
    turn."""
    wanted = (commits_range or "HEAD").split()
    seen: set[str] = set()
    newest: list[str] = []
    for adapter in used:
        seen.update(adapter_store.trained_on(repo.state_dir, adapter))
        span = adapter_store.evidence(repo.state_dir, adapter).get("commits", {}).get("train", [])
        newest += [f"^{oid}" for oid in span[-1:] if repo.has_object(oid)]
    code, out, message = repo.try_run(
        "rev-list", "--topo-order", "--end-of-options", *wanted, *newest, "--"
    )
    if code != 0:
        raise GitError(
            f"{commits_range!r} names no commits ({message.removeprefix('fatal: ')})",
            "write a range as git does, such as v1.0..HEAD",
        )
    groups: dict[str, list[Hole]] = {}
    total = 0
    for oid in out.decode().split():
        if oid not in seen and (found := load_holes(db, [oid])):
            groups[oid] = found
            total += len(found)
        if total >= count:
            break
    if not groups:
        learnt = " that the adapter did not learn from" if used else ""
        raise CopilotError(
            f"{commits_range or 'the history'} has no hole{learnt}",
            "name other commits with `--commits`, or `--adapter none`",
        )
    return in_turn(list(groups.values()), count)
