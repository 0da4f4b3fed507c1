"""``eval``: the arms of a refresh on any range of commits, without training."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import read_training_holes
from git_copilot.assistant.context.catch_up import mine_commits
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut, read_cuts
from git_copilot.assistant.dataset.examples import retrieve
from git_copilot.assistant.dataset.leakage import KnownHoles, drop_known
from git_copilot.assistant.dataset.split import round_robin
from git_copilot.assistant.evaluation.arms import Arm, ArmEvaluator, HeldOutSet
from git_copilot.assistant.evaluation.controls import Control
from git_copilot.assistant.evaluation.hole_results import (
    ADAPTER,
    ADAPTER_PLAIN,
    BASE,
    BASE_PLAIN,
    Answer,
    HoleResult,
    control_name,
)
from git_copilot.assistant.evaluation.metrics import compare, summarise
from git_copilot.assistant.evaluation.report import (
    ArmsReport,
    ControlReport,
    EvaluationReport,
    EvaluationSettings,
    HoleSet,
)
from git_copilot.assistant.evaluation.score_store import ScoreStore
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError, GitError
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

DEFAULT_HOLES = 200
# Beside the adapters: what an unfinished evaluation measured.
WORK = ".eval"


def run_eval(
    context: RepositoryContext,
    *,
    commits_range: str | None,
    adapter: str | None,
    held_out_holes: int | None = None,
    folder: Path | None = None,
    controls: Sequence[Control] = (),
    plain: bool = True,
) -> EvaluationReport:
    """Evaluate the base, the adapter in use (``incumbent``) and another one (``candidate``).

    Commits that an adapter was trained on, older ones, and copies of their code are left out.

    :param context: with its embedder and vectors.
    :param commits_range: as ``git rev-list`` takes it (``v1.0..main``); all of HEAD's history by
        default, of which the newest ``held_out_holes`` count.
    :param folder: the base model's, where the caller knows it.
    :param adapter: an id, ``"none"``, or ``None`` for the one in use.
    :param controls: also evaluated, with retrieval.
    :param plain: also evaluate without retrieval.
    :return: the comparison in it is of ``candidate`` with ``base``.
    :raises CopilotError: the range or the adapter does not exist, or no hole is left to evaluate.
    """
    begun = time.monotonic()
    repo, settings = context.repo, context.settings
    folder = folder or resolve_model(settings.model)
    current = _current(context)
    chosen = None if adapter == "none" else adapter or current
    used = [a for a in dict.fromkeys((current, chosen)) if a is not None]
    paths = {a: adapter_store.path_for_model(repo.state_dir, a, settings.model) for a in used}
    mine_commits(context)
    holes = newest_holes(
        repo, context.db, commits_range, list(paths), held_out_holes or DEFAULT_HOLES
    )
    kept = adapter_store.adapters_dir(context.state_dir) / WORK
    evaluator = _evaluator(context, folder, kept)
    held, known = held_out_set(context, evaluator, holes, list(paths))
    base = evaluator.evaluate_arm(held, None, "base model", plain=plain)
    arms = _evaluate(evaluator, held, "adapter", paths, base, plain=plain)
    incumbent = arms.get(current or "")
    candidate = arms.get(chosen or "", base)
    folders = {control.name: control.folder for control in controls}
    others = _evaluate(evaluator, held, "control", folders, base, plain=False)
    shutil.rmtree(kept, ignore_errors=True)
    return EvaluationReport(
        candidate=chosen,
        incumbent=current,
        base_model=settings.model,
        held_out=HoleSet.of([e.hole for e in held.plain]),
        copies_dropped=known.total,
        dropped=known,
        arms=_arms(base, incumbent, candidate),
        comparison=compare(base.retrieval, candidate.retrieval, settings.seed),
        seed=settings.seed,
        settings=EvaluationSettings.of(settings),
        seconds=time.monotonic() - begun,
        controls=_control_reports(others, candidate, settings.seed),
        results=_results(held, base, candidate if chosen else None, others),
    )


def _arms(base: Arm, incumbent: Arm | None, candidate: Arm) -> ArmsReport:
    used = None if incumbent is None else incumbent.scores()
    return ArmsReport.of(base.scores(), used, candidate.scores())


def _evaluator(context: RepositoryContext, folder: Path, kept: Path) -> ArmEvaluator:
    """:param kept: the folder of what an interrupted evaluation measured."""
    settings = context.settings
    tokenizer = TextTokenizer.load(folder, settings.model)
    return ArmEvaluator(folder, settings, tokenizer, context.progress, ScoreStore(kept))


def held_out_set(
    context: RepositoryContext, evaluator: ArmEvaluator, holes: Sequence[Hole], used: list[str]
) -> tuple[HeldOutSet, KnownHoles]:
    """The holes as examples, without those that the adapters in ``used`` know; how many these are.

    :raises CopilotError: no hole is left.
    """
    repo, settings = context.repo, context.settings
    trained = _training_cuts(context, used)
    cuts, known = drop_known(read_cuts(repo, holes), trained, _max_shown_characters(settings))
    # Copies are found in the finished form, in which they look alike.
    cuts = read_cuts(repo, [cut.hole for cut in cuts], settings.evaluation_form)
    hits = retrieve(context, cuts, held_out=len(cuts))
    held = evaluator.render_held_out(cuts, hits, repo.name)
    if not held.plain:
        wanted = "is new to the adapter" if known.total else "can be read"
        raise CopilotError(f"no hole of these commits {wanted}", "name other commits")
    return held, known


def _evaluate(
    evaluator: ArmEvaluator,
    held: HeldOutSet,
    kind: str,
    folders: Mapping[str, Path],
    base: Arm,
    *,
    plain: bool,
) -> dict[str, Arm]:
    """The arm of each adapter, by its name."""
    return {
        name: evaluator.evaluate_arm(held, folder, f"{kind} {name}", plain=plain, drafts=base)
        for name, folder in folders.items()
    }


def _control_reports(
    found: Mapping[str, Arm], candidate: Arm, seed: int
) -> tuple[ControlReport, ...]:
    return tuple(
        ControlReport(
            name, summarise(arm.retrieval), compare(arm.retrieval, candidate.retrieval, seed)
        )
        for name, arm in found.items()
    )


def _results(
    held: HeldOutSet,
    base: Arm,
    adapter: Arm | None,
    controls: Mapping[str, Arm],
) -> tuple[HoleResult, ...]:
    arms = {
        BASE_PLAIN: (base.plain, base.plain_texts),
        BASE: (base.retrieval, base.retrieval_texts),
    }
    if adapter is not None:
        arms[ADAPTER_PLAIN] = adapter.plain, adapter.plain_texts
        arms[ADAPTER] = adapter.retrieval, adapter.retrieval_texts
    for name, arm in controls.items():
        arms[control_name(name)] = arm.retrieval, arm.retrieval_texts
    arms = {name: found for name, found in arms.items() if found[0]}
    return tuple(
        HoleResult.of(
            example,
            {name: Answer(texts[i], scores[i]) for name, (scores, texts) in arms.items()},
        )
        for i, example in enumerate(held.retrieval)
    )


def _training_cuts(context: RepositoryContext, used: list[str]) -> list[Cut]:
    """The holes that the adapters in ``used`` were trained on, or all holes of their commits where
    an adapter only names those."""
    state = context.state_dir
    holes: dict[Hole, None] = {}
    for adapter in used:
        found = read_training_holes(adapter_store.adapter_path(state, adapter))
        if found is None:
            found = load_holes(context.db, sorted(adapter_store.trained_on(state, adapter)))
        holes.update(dict.fromkeys(found))
    cuts = read_cuts(context.repo, list(holes))
    if len(cuts) < len(holes) or (used and not holes):
        lost = f"{len(holes) - len(cuts)} of the holes" if holes else "every hole"
        context.note(f"{lost} that the adapter learnt from cannot be read: copies cannot be told")
    return cuts


def _max_shown_characters(settings: Settings) -> int:
    """More characters than a training prompt showed on a side of its hole: it had half the tokens
    of a serving prompt, and a token of code has about three characters, not eight."""
    return settings.prompt_tokens * 4


def _current(context: RepositoryContext) -> str | None:
    """The adapter in use, if it is for the model of the settings."""
    state, model = context.state_dir, context.settings.model
    current = adapter_store.current_adapter(state)
    if current is not None and adapter_store.base_model(state, current) != model:
        context.note(f"the adapter {current} was trained for another model and is left out")
        return None
    return current


def newest_holes(
    repo: GitRepository, db: Database, commits_range: str | None, used: list[str], count: int
) -> list[Hole]:
    """The newest ``count`` holes of a range that no adapter in ``used`` was trained on, from each
    commit in turn."""
    wanted = (commits_range or "HEAD").split()
    seen: set[str] = set()
    newest: list[str] = []
    for adapter in used:
        seen.update(adapter_store.trained_on(repo.state_dir, adapter))
        last = adapter_store.record_of(repo.state_dir, adapter).newest_commits("train")
        newest += [f"^{oid}" for oid in last if repo.has_object(oid)]
    code, out, message = repo.try_run(
        "rev-list", "--topo-order", "--end-of-options", *wanted, *newest, "--"
    )
    if code != 0:
        raise GitError(
            f"{commits_range!r} is not a range of commits ({message.removeprefix('fatal: ')})",
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
    return round_robin(list(groups.values()), count)
