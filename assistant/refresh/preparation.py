"""Prepares the holes of a refresh: selects, reads, retrieves for and renders them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Self

from git_copilot.assistant.context.catch_up import mine_commits
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut, read_cuts
from git_copilot.assistant.dataset.examples import (
    TRAINING_SHARE,
    Example,
    retrieve_in_turn,
    serving_budget,
    training_examples,
    with_retrieval,
)
from git_copilot.assistant.dataset.hole_selection import (
    at_fim_rate,
    before_held_out,
    training_holes,
)
from git_copilot.assistant.dataset.leakage import (
    DuplicateCounts,
    drop_copies,
    drop_duplicates,
    drop_showing,
)
from git_copilot.assistant.dataset.sequences import sequence_examples
from git_copilot.assistant.dataset.split import HELD_OUT_HOLES, Split, in_turn, split_holes
from git_copilot.assistant.refresh.run_state import RefreshRun
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hit, Hole
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.corpus.survival import update_survival


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many holes to learn from and to hold out, see
    :func:`~git_copilot.assistant.dataset.split.split_holes`."""

    learn: int
    judge: int
    exact: bool
    force: bool = False

    @classmethod
    def of(
        cls, settings: Settings, learn: int | None, judge: int | None, *, force: bool = False
    ) -> Self:
        """What was asked for, else what the settings say."""
        most = judge or HELD_OUT_HOLES
        return cls(learn or settings.refresh_holes, most, judge is not None, force)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What is learnt from; ``copies`` of held-out holes were dropped."""

    examples: list[Example]
    copies: int
    duplicates: DuplicateCounts


def update_corpus(context: RepositoryContext) -> None:
    """Mine the newest commits, and follow what became of the holes of older ones."""
    mine_commits(context)
    limit = context.settings.history_commits
    update_survival(context.repo, context.db, limit=limit, progress=context.progress)


def split_history(run: RefreshRun, commits: Sequence[str], wanted: Wanted) -> Split:
    """The split of the history's holes.

    :param commits: ids, newest first.
    :raises CopilotError: there are too few holes.
    """
    return split_holes(
        load_holes(run.context.db, commits),
        commits=len(commits),
        max_train=wanted.learn,
        max_held_out=wanted.judge,
        exact=wanted.exact,
        force=wanted.force,
    )


def select_training(
    run: RefreshRun, commits: Sequence[str], held_out: Sequence[Hole], learn: int
) -> dict[Hole, float]:
    """The holes to learn from with their weights, all older than the held-out ones."""
    repo, db, settings = run.context.repo, run.context.db, run.context.settings
    older, tree = before_held_out(repo, commits, held_out)
    found = training_holes(
        repo, db, settings, older, tree, most=learn, characters=run.preset.characters
    )
    return found if run.warm is None else run.warm.choose(found, settings.seed)


def judging_order(holes: Sequence[Hole]) -> list[Hole]:
    """Held-out holes by commits in turn, the newest commit first, so that the first of them are
    from as many commits as possible.

    :param holes: newest first.
    """
    groups: dict[str, list[Hole]] = {}
    for hole in holes:
        groups.setdefault(hole.commit, []).append(hole)
    return in_turn(groups.values())


def prepare(
    run: RefreshRun,
    commits: Sequence[str],
    held_out: Sequence[Hole],
    learn: int,
    *,
    until: float = math.inf,
) -> tuple[list[Example], TrainingSet]:
    """Render the held-out holes, in the order of judging, and the holes to learn from; duplicates
    and copies of held-out holes are dropped.

    :param held_out: newest first.
    :param learn: the most holes to learn from; with 0 only the held-out ones are rendered.
    :param until: the second of the run at which no more holes to learn from are prepared.
    :raises CopilotError: no hole is left to learn from, or to judge by.
    """
    context = run.context
    repo, settings = context.repo, context.settings
    finished = read_cuts(repo, held_out)
    weights = select_training(run, commits, held_out, learn) if learn else {}
    # Copies are found in the finished form, in which they look alike.
    cuts, copies = drop_copies(read_cuts(repo, list(weights)), finished)
    cuts, duplicates = drop_duplicates(cuts)
    cuts = read_cuts(repo, [cut.hole for cut in cuts], settings.training_form)
    if run.preset.sequence_tokens is None:
        cuts = at_fim_rate(cuts, settings.seed)
    held_cuts = read_cuts(repo, held_out, settings.evaluation_form)
    hits = _retrieve(run, held_cuts, cuts, until)
    held = {
        cut.hole: run.evaluator.render(cut, hits[i], repo.name) for i, cut in enumerate(held_cuts)
    }
    found = [(cut, hits[i]) for i, cut in enumerate(cuts, len(held_cuts)) if i in hits]
    examples = render_training(run, [cut for cut, _ in found], [hit for _, hit in found])
    examples, showing = drop_showing(examples, finished, run.tokenizer)
    longest = run.evaluator.longest
    examples = [replace(e, weight=weights[e.hole]) for e in examples if e.size <= longest]
    judged = [example for hole in judging_order(held_out) if (example := held.get(hole))]
    if not judged or (learn and not examples):
        raise CopilotError(
            "no hole is left to learn from: all are copies of held-out ones, or too long",
            "commit more code",
        )
    return judged, TrainingSet(examples, copies + showing, duplicates)


def render_training(
    run: RefreshRun, cuts: Sequence[Cut], hits: Sequence[Sequence[Hit]]
) -> list[Example]:
    """Training examples of ``cuts``."""
    context, tokens = run.context, run.preset.sequence_tokens
    if tokens is not None:
        return sequence_examples(run.tokenizer, cuts, tokens, context.settings.seed)
    budget = serving_budget(context.settings, TRAINING_SHARE)
    return training_examples(
        run.tokenizer, cuts, hits, budget, context.repo.name, context.settings.seed
    )


def _retrieve(
    run: RefreshRun, held: Sequence[Cut], cuts: Sequence[Cut], until: float
) -> dict[int, list[Hit]]:
    """The snippets of held-out cuts and then of those to learn from, by their indices; of the
    latter as many as there is time for."""
    seed = run.context.settings.seed
    found: dict[int, list[Hit]] = {}
    turns = retrieve_in_turn(
        run.context,
        [*held, *cuts],
        held_out=len(held),
        wanted=lambda i: i < len(held) or with_retrieval(cuts[i - len(held)], seed),
    )
    with closing(turns):
        for i, hits in turns:
            found[i] = hits
            if len(found) >= len(held) and run.clock.elapsed() >= until:
                break
    return found
