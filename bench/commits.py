"""How well the holes of real commits are filled: ``python bench/quality.py --repo PATH…``.

Holes come from the newest commits, few of each commit, as the corpus cuts them (index/corpus/cuts.py;
``line``, the default, is the end of a line from a token on, three tokens at least). Snippets come
from the tree before each commit, found by the search of serving; nothing newer is seen. Each hole
is completed without snippets and with them, with the prompts, decoding and trim rules of serving.
They are in the form in which they were typed (git_copilot.assistant.dataset.typed_form), or with
``--form finished`` as they stand in the commit's files.

``--tree`` takes holes anywhere in the files of the last commit instead (index/corpus/snapshot.py): code
as it stands, which is easier to fill than what is new. Other files are searched in the tree before
that commit, and the hole's own file without the hole where a prompt does not show it. ``--kind rest`` takes rests of any lines there
(rests.py). ``--language`` chooses holes of another language than Python.

``em`` and ``es`` are in %, with 95% intervals from resampled commits, with ``--tree`` files;
``bits_per_byte`` is of the middles; ``retrieval_minus_plain`` the difference in points. The test
for a leak is the recipe's: no repository named here may be in bench/seed/recipe.toml.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from about import machine, name_of, output
from rests import KIND as REST
from rests import rest_holes

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut, read_cuts
from git_copilot.assistant.dataset.examples import Example, retrieve
from git_copilot.assistant.evaluation.arms import ArmEvaluator, HeldOutSet
from git_copilot.assistant.evaluation.metrics import Score, compare
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import FINISHED, Hole, Progress
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.snapshot import snapshot_holes
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database

# Holes of one commit are alike: few of each, so that many commits are seen.
HOLES_PER_COMMIT = 3
HOLES_PER_TREE_FILE = 24
MINED_COMMITS = 3000
LIMIT, QUICK = 500, 12
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which holes are measured: at most ``limit`` of the kinds in one language, as tree-sitter
    names it; ``tree``: of the last commit's files as they stand, not of commits."""

    kinds: Sequence[str] = ("line",)
    limit: int = LIMIT
    tree: bool = False
    language: str = "python"

    def has(self, hole: Hole) -> bool:
        return hole.kind in self.kinds and hole.language == self.language


def choose_holes(repo: GitRepository, db: Database, wanted: Wanted) -> list[Hole]:
    """The newest holes, newest commit first."""
    tip = repo.head_commit()
    commits = [c.oid for c in list_commits(repo, tip, limit=MINED_COMMITS)] if tip else []
    by_commit: dict[str, list[Hole]] = {oid: [] for oid in commits}
    for hole in load_holes(db, commits):
        if wanted.has(hole):
            by_commit[hole.commit].append(hole)
    chosen: list[Hole] = []
    for oid, holes in by_commit.items():
        seeded_random("quality", oid).shuffle(holes)
        chosen += holes[:HOLES_PER_COMMIT]
    return chosen[: wanted.limit]


def choose_tree_holes(repo: GitRepository, wanted: Wanted, tokenizer: TextTokenizer) -> list[Hole]:
    """A seeded sample of the holes of the last commit's files."""
    tip = repo.head_commit()
    holes: Iterable[Hole] = ()
    if tip and REST in wanted.kinds:
        holes = rest_holes(repo, tip, tokenizer, HOLES_PER_TREE_FILE)
    elif tip:
        holes = snapshot_holes(repo, tip, per_file=HOLES_PER_TREE_FILE)
    found = [hole for hole in holes if wanted.has(hole)]
    seeded_random("quality", tip or "").shuffle(found)
    return sorted(found[: wanted.limit], key=lambda hole: (hole.path, hole.start))


def read_repository(
    path: Path, wanted: Wanted, settings: Settings, tokenizer: TextTokenizer, progress: Progress
) -> tuple[str, list[Cut], list[list[Any]]]:
    """Its name, the holes with their texts, and snippets for each."""
    repo = GitRepository.discover(path)
    with (
        tempfile.TemporaryDirectory() as folder,
        Database(Path(folder) / DATABASE_NAME, create=True) as db,
    ):
        if wanted.tree:
            holes = choose_tree_holes(repo, wanted, tokenizer)
        else:
            mine(repo, db, limit=MINED_COMMITS, progress=progress)
            holes = choose_holes(repo, db, wanted)
        cuts = read_cuts(repo, holes, FINISHED if wanted.tree else settings.evaluation_form)
        context = RepositoryContext(repo, db, settings, progress=progress).with_embedder()
        hits = retrieve(context, cuts, held_out=len(cuts))
    return name_of(path, repo), cuts, hits


def figures(examples: Sequence[Example], scores: Sequence[Score]) -> dict[str, Any]:
    """What one arm reached."""
    size = sum(len(e.middle.encode()) for e in examples)
    nothing = [replace(s, em=0.0, es=0.0) for s in scores]
    em = compare(nothing, scores).em
    return {
        "em": {k: round(v, 1) for k, v in asdict(em).items()},
        "es": round(sum(s.es for s in scores) / len(scores), 1),
        "bits_per_byte": round(sum(s.nll for s in scores) / math.log(2) / size, 4),
        "prompt_tokens": round(sum(len(e.prompt_ids) for e in examples) / len(examples)),
    }


def by_file(held: HeldOutSet, scores: Sequence[Score]) -> list[Score]:
    """Scores that name the file of their hole, as those that are alike, instead of its commit."""
    return [replace(s, commit=e.hole.path) for s, e in zip(scores, held.plain, strict=True)]


def measure(
    paths: Sequence[Path],
    model: str,
    adapter: Path | None,
    left_to_right: bool,
    wanted: Wanted,
    settings: Settings,
    progress: Progress,
) -> dict[str, Any]:
    """All repositories with one model.

    :raises CopilotError: the model, the adapter or a repository cannot be read.
    """
    commit = output("git", "-C", str(ROOT), "rev-parse", "HEAD")  # it may move before the end
    folder = resolve_model(model)
    tokenizer = TextTokenizer.load(folder, model)
    evaluator = ArmEvaluator(folder, settings, tokenizer, progress)
    found: dict[str, Any] = {}
    for path in paths:
        begun = time.perf_counter()
        name, cuts, hits = read_repository(path, wanted, settings, tokenizer, progress)
        if not cuts:
            raise CopilotError(
                f"{path} has no {wanted.language} holes of the kinds {', '.join(wanted.kinds)}",
                "name others",
            )
        shown = [replace(cut, suffix="") for cut in cuts] if left_to_right else cuts
        held = evaluator.render_held_out(shown, hits, name)
        arm = evaluator.evaluate_arm(held, adapter, name)
        plain, retrieval = arm.plain, arm.retrieval
        if wanted.tree:
            plain, retrieval = by_file(held, plain), by_file(held, retrieval)
        gain = compare(plain, retrieval)
        found[name] = {
            "holes": len(plain),
            "files" if wanted.tree else "commits": len({s.commit for s in plain}),
            "with_snippets": sum(bool(e.prompt.snippets) for e in held.retrieval),
            "plain": figures(held.plain, plain),
            "retrieval": figures(held.retrieval, retrieval),
            "retrieval_minus_plain": {
                "em": {k: round(v, 1) for k, v in asdict(gain.em).items()},
                "won": gain.won,
                "lost": gain.lost,
            },
            "seconds": round(time.perf_counter() - begun, 1),
        }
    return {
        "bench": "quality",
        "commit": commit,
        "machine": machine(),
        "settings": {
            "model": model,
            "adapter": str(adapter) if adapter else None,
            "left_to_right": left_to_right,
            "copying": settings.copying,
            "alternatives": settings.alternatives,
            "form": FINISHED if wanted.tree else settings.evaluation_form,
            **asdict(wanted),
        },
        "repositories": found,
    }


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{'':<22}{'holes':>6}{'':>3}{'em':>20}{'es':>7}{'bits':>8}"]
    for name, row in result["repositories"].items():
        for arm in ("plain", "retrieval"):
            em, each = row[arm]["em"], row[arm]
            interval = f"{em['value']:.1f} [{em['low']:.1f}, {em['high']:.1f}]"
            label = f"{name[:20]} {'+ snippets' if arm == 'retrieval' else ''}"
            lines.append(
                f"{label[:32]:<32}{row['holes']:>5}  {interval:>20}{each['es']:>7.1f}"
                f"{each['bits_per_byte']:>8.3f}"
            )
    return "\n".join(lines)
