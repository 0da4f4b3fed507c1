"""Explains one hole: where it comes from, its fate, and whether it is trained on and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut, cut_blob, read_cuts
from git_copilot.assistant.dataset.hole_selection import (
    SNAPSHOT,
    before_held_out,
    find_holes,
    is_forgotten,
    training_holes,
)
from git_copilot.assistant.dataset.samples import Sample, iso_time, read_sample
from git_copilot.assistant.dataset.split import HELD_OUT_HOLES, split_holes
from git_copilot.assistant.dataset.statistics import SECONDS_PER_DAY, fate, reverted_by
from git_copilot.assistant.models.catalogue import is_ready, longest_sequence, resolve_model
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.corpus.survival import Survival, load_survival
from git_copilot.index.filters import rules
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.scan import secret_lines, without_allowed
from git_copilot.index.store.allowed_lines import Allowed, allowed_in
from git_copilot.index.store.database import Database
from git_copilot.index.store.forget import Forgotten
from git_copilot.index.text.classify import is_test

FOR, AGAINST, OPEN = "for", "against", "unknown"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's verdict on a hole: ``says`` is :data:`FOR`, :data:`AGAINST` or :data:`OPEN`."""

    rule: str
    says: str
    because: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a hole. ``facts`` are the fields of the JSON object, without the rules."""

    sample: Sample
    facts: dict[str, Any]
    rules: list[Rule]

    @property
    def taken(self) -> bool:
        """Whether a training run would use the hole now; rules without an answer are ignored."""
        return all(rule.says != AGAINST for rule in self.rules)

    def fields(self) -> dict[str, Any]:
        """The explanation as JSON."""
        rules = [{"rule": r.rule, "says": r.says, "because": r.because} for r in self.rules]
        return {**self.facts, "rules": rules, "taken": self.taken}


def explain_hole(context: RepositoryContext, hole_id: int) -> Explanation:
    """Explain the hole with an id.

    :raises CopilotError: there is none, or its blob is missing.
    """
    repo, db = context.repo, context.db
    hole = next(iter(find_holes(db, [hole_id])), None)
    if hole is None:
        raise CopilotError(
            f"there is no hole {hole_id}", "`git copilot corpus sample` shows some with their ids"
        )
    sample = read_sample(repo, db, hole)
    survival = load_survival(db, [hole.id]).get(hole.id)
    learnt = [
        adapter
        for adapter in adapter_store.ids(repo.state_dir)
        if hole.commit in adapter_store.trained_on(repo.state_dir, adapter)
    ]
    facts = {
        **sample.fields(),
        "blob": hole.blob,
        "start_byte": hole.start,
        "end_byte": hole.end,
        "subject": _subject(repo, hole.commit),
        "survival": _survival(repo, db, hole, survival),
        "adapters": learnt,
    }
    return Explanation(sample, facts, list(_rules(context, sample)))


def _subject(repo: GitRepository, commit: str) -> str | None:
    """The first line of a commit's message, or ``None`` when the commit is missing."""
    code, out, _ = repo.try_run(
        "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%s", commit, "--"
    )
    return out.decode("utf-8", "replace").rstrip("\n") if code == 0 else None


def _survival(
    repo: GitRepository, db: Database, hole: Hole, survival: Survival | None
) -> dict[str, Any]:
    died = survival.died_commit if survival is not None else None
    time = survival.died_time if survival is not None else None
    head = db.query("SELECT value FROM meta WHERE key = 'survival_head'")
    return {
        "fate": fate(hole.commit, survival, reverted_by(repo, [died] if died else [])),
        "stands": survival.stands if survival is not None else None,
        "head": str(head[0][0]) if head else None,
        "died_commit": died,
        "died_subject": _subject(repo, died) if died else None,
        "died_time": iso_time(time) if time is not None else None,
        "days": round((time - hole.time) / SECONDS_PER_DAY, 1) if time is not None else None,
    }


def _rules(context: RepositoryContext, sample: Sample) -> Iterator[Rule]:
    repo, hole = context.repo, sample.hole
    yield _forgotten(context.db, hole)
    yield _left_out(repo, hole)
    data = repo.read_blob(hole.blob)
    yield _secret(data, hole, allowed_in(repo))
    says = FOR if sample.weight > 0 else AGAINST
    yield Rule("weight", says, f"{sample.weight:.2f} ({sample.why})")
    if is_test(hole.path):
        yield Rule("test", FOR, "a test: all tests together weigh at most as much as the code")
    cut = cut_blob(data, hole)
    yield from _place(context, sample, cut)
    yield _size(context.settings, cut)


def _forgotten(db: Database, hole: Hole) -> Rule:
    if is_forgotten(Forgotten.load(db), hole):
        return Rule("forgotten", AGAINST, "its path, commit or author is forgotten")
    return Rule("forgotten", FOR, "its path, commit and author are not forgotten")


def _left_out(repo: GitRepository, hole: Hole) -> Rule:
    reason = rules.exclusion_reasons(repo, repo.head_tree_or_empty(), [hole.path]).get(hole.path)
    if reason is not None:
        return Rule("left out", AGAINST, f"HEAD's rules exclude its file from the index ({reason})")
    return Rule("left out", FOR, "no rule excludes its file from the index")


def _secret(data: bytes, hole: Hole, allowed: Allowed) -> Rule:
    first = data.count(b"\n", 0, hole.start) + 1
    last = first + data.count(b"\n", hole.start, hole.end)
    text = data.decode("utf-8", "replace")
    lines = sorted(
        n
        for n in without_allowed(text, secret_lines(text, hole.path), allowed)
        if first <= n <= last
    )
    if lines:
        return Rule("secret", AGAINST, f"line {lines[0]} looks like a secret")
    return Rule("secret", FOR, "no secret on its lines")


def _place(context: RepositoryContext, sample: Sample, cut: Cut) -> Iterator[Rule]:
    """Whether its commit is for training, held out, or neither, and what the hole repeats."""
    repo, db, settings = context.repo, context.db, context.settings
    hole = sample.hole
    commits = _history(repo, settings)
    if hole.commit not in commits:
        newest = f"the newest {settings.history_commits} commits of HEAD (copilot.historyCommits)"
        yield Rule("history", AGAINST, f"its commit is not among {newest}")
        return
    yield Rule("history", FOR, "its commit is part of HEAD's history")
    holes = load_holes(db, commits)
    try:
        split = split_holes(
            holes,
            commits=len(commits),
            max_train=settings.refresh_holes,
            max_held_out=HELD_OUT_HOLES,
        )
    except CopilotError as exc:
        yield Rule("held out", OPEN, str(exc))
        return
    held = {h.id for h in split.held_out}
    if hole.id in held:
        yield Rule("held out", AGAINST, "it is held out: candidates are evaluated on it")
        return
    older, tree = before_held_out(repo, commits, split.held_out)
    if hole.commit not in older:
        yield Rule(
            "held out", AGAINST, "candidates are evaluated on holes of its commit or of older ones"
        )
        return
    yield Rule("held out", FOR, "it is older than the held-out holes")
    if settings.corpus_source == SNAPSHOT:
        yield Rule("source", AGAINST, "only files as they are are used (copilot.corpusSource)")
        return
    if sample.weight <= 0:
        return
    taken = list(training_holes(repo, db, settings, older, tree, most=settings.refresh_holes))
    yield from _repeats(repo, hole, cut, taken, list(split.held_out))


def _history(repo: GitRepository, settings: Settings) -> list[str]:
    tip = repo.head_commit()
    if tip is None:
        return []
    return [c.oid for c in list_commits(repo, tip, limit=settings.history_commits)]


def _repeats(
    repo: GitRepository, hole: Hole, cut: Cut, taken: list[Hole], held_out: list[Hole]
) -> Iterator[Rule]:
    """Whether it is among the newest holes, and what it is a copy of, as in a refresh."""
    from git_copilot.assistant.dataset.leakage import find_copies, neighbourhood
    from git_copilot.assistant.dataset.near_duplicates import NearIndex, shingles

    place = next((i for i, other in enumerate(taken) if other.id == hole.id), None)
    if place is None:
        yield Rule("newest", AGAINST, "there are enough newer holes (copilot.refreshHoles)")
        return
    yield Rule("newest", FOR, f"it is number {place + 1} of {len(taken)} to train on")
    held_cuts = read_cuts(repo, held_out)
    copies = [held_cuts[h].hole.id for _, h in find_copies([cut], held_cuts)]
    if copies:
        yield Rule("copy", AGAINST, f"a copy of hole {copies[0]}, which is held out")
        return
    newer = read_cuts(repo, taken[:place])
    known = NearIndex(shingles(neighbourhood(other)) for other in newer)
    same = known.near(shingles(neighbourhood(cut)))
    if same:
        other = newer[same[0]].hole
        named = f"hole {other.id}" if other.id else f"a hole of {other.path} as it is"
        yield Rule("duplicate", AGAINST, f"a near duplicate of {named}, which is newer")
        return
    yield Rule("duplicate", FOR, "no newer hole is similar")


def _size(settings: Settings, cut: Cut) -> Rule:
    if not is_ready(settings.model):
        return Rule("size", OPEN, f"the model {settings.model} is not here to count tokens")
    from git_copilot.assistant.dataset.examples import TRAINING_SHARE, make_example, serving_budget
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer

    folder = resolve_model(settings.model)
    tokenizer = TextTokenizer.load(folder, settings.model)
    size = make_example(tokenizer, cut, (), serving_budget(settings, TRAINING_SHARE)).size
    longest = longest_sequence(folder)
    says = FOR if size <= longest else AGAINST
    return Rule("size", says, f"{size} tokens; the model takes {longest}")
