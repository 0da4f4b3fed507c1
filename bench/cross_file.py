"""What fails at holes that need another file: search, reading or copying.

    python bench/cross_file.py --repo PATH... [--limit N] [--model NAME] [--json] [--examples N]

Holes of the newest commits, in the form in which they were typed, whose middle has a name that another
file of the tree before the commit defines, and that neither the prompt's part of the hole's file
nor Python has (gold.py). Each is completed, with the prompts, decoding and trim rules of serving, in these arms:

- ``nothing``: no snippets, and nothing is copied;
- ``file``: no snippets; what stands elsewhere in the file may be copied;
- ``copying``: no snippets in the prompt; they may be copied from;
- ``prompt``: snippets in the prompt; nothing is copied;
- ``both``: as served;
- ``oracle``: as served, with the chunk that defines the name first.

``oracle`` against ``both`` is what search loses, ``prompt`` against ``nothing`` what reading gives,
``copying`` against ``file`` what copying gives. Figures are in %, with 95% intervals from resampled
commits: ``em`` exact match, ``es`` edit similarity, ``names`` the share of completions with just the
identifiers of the middle, in their order; ``needed`` with the name that only other files have.
``bits_per_byte`` are of the middles. ``found`` are the holes at which a snippet of the prompt
defines the name.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from about import machine, name_of, output
from gold import Need, needs, wanted_names
from isa import add_isa_option, limit_instructions

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.process import calm_threads
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.core.terminal import Stream
from git_copilot.assistant.dataset.cuts import Cut, read_cuts
from git_copilot.assistant.dataset.examples import (
    Example,
    make_example,
    parent_trees,
    serving_budget,
)
from git_copilot.assistant.decoding.generation import CopyContext
from git_copilot.assistant.models.catalogue import canonical, resolve_model
from git_copilot.assistant.prompt.cursor_query import cursor_query, edited_file
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import TYPED, Embedder, Hit, Progress
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.embedding.vectors import load_vectors
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.cochange import CoChange
from git_copilot.index.search.overlay import EMPTY_OVERLAY
from git_copilot.index.search.retriever import Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.database_files import decode_path
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.terms import IDENTIFIER

ROOT = Path(__file__).resolve().parent.parent
VIEW = "bench"
LIMIT, QUICK = 100, 8
HOLES_PER_COMMIT = 3
MINED_COMMITS = 3000
PLAIN, COPYING = ("nothing", "prompt"), ("file", "copying", "both", "oracle")
ARMS = ("nothing", "file", "copying", "prompt", "both", "oracle")
# What is compared with what, and what the difference is worth.
DIFFERENCES = {
    "reading": ("nothing", "prompt"),
    "copying": ("file", "copying"),
    "snippets": ("file", "both"),
    "search": ("both", "oracle"),
}


@dataclass(frozen=True, slots=True)
class CrossFileHole:
    """A hole, the names that it needs, its snippets and the chunk that defines the first name."""

    cut: Cut
    needs: list[Need]
    hits: list[Hit]
    gold: Hit

    @property
    def names(self) -> set[str]:
        return {need.name for need in self.needs}


def read_holes(
    repo: GitRepository,
    db: Database,
    embedder: Embedder,
    limit: int,
    cache: Path,
    progress: Progress,
) -> Iterator[CrossFileHole]:
    """The newest cross-file holes whose name is defined elsewhere, a few of each commit."""
    settings = Settings()
    mine(repo, db, limit=MINED_COMMITS, progress=progress)
    tip = repo.head_commit()
    commits = [c.oid for c in list_commits(repo, tip, limit=MINED_COMMITS)] if tip else []
    holes: dict[str, list[Any]] = {}
    for hole in load_holes(db, commits):
        holes.setdefault(hole.commit, []).append(hole)
    trees, together, found = parent_trees(repo, list(holes)), CoChange(repo), 0
    searcher: Searcher | None = None
    for oid, of_commit in holes.items():
        tree = trees.get(oid)
        seeded_random("cross-file", oid).shuffle(of_commit)
        cuts = (
            [(cut, wanted_names(cut)) for cut in read_cuts(repo, of_commit, TYPED)] if tree else []
        )
        if tree is None or not any(names for _, names in cuts):
            continue
        sync(repo, db, embedder, view=VIEW, tree=tree)
        searcher = searcher or Searcher(db, VIEW, load_vectors(db, cache, embedder))
        taken = 0
        for cut, names in cuts:
            wanted = [need for need in needs(db, VIEW, cut, names) if need.defined]
            if not wanted or taken == HOLES_PER_COMMIT:
                continue
            file = edited_file(cut.hole.path, cut.prefix, cut.suffix, serving_budget(settings))
            partners = together.partners(f"{oid}^", cut.hole.path)
            query = cursor_query(file, cut.hole.language, partners)
            overlay = file.added_to(EMPTY_OVERLAY)
            hits = searcher.search(query, settings.snippets_to_find, embedder, overlay)
            yield CrossFileHole(cut, wanted, hits, read_chunk(db, min(wanted[0].defined)))
            taken, found = taken + 1, found + 1
            progress("searching", found, limit)
            if found == limit:
                return


def read_chunk(db: Database, number: int) -> Hit:
    """A chunk of the bench's view as a snippet."""
    ((path, blob, start, end, text, language),) = db.query(
        "SELECT f.path, b.oid, c.start_line, c.end_line, c.text, b.language FROM chunks c"
        " JOIN blobs b ON b.id = c.blob_id JOIN files f ON f.blob_id = b.id"
        " JOIN views v ON v.id = f.view_id WHERE c.id = ? AND v.name = ? LIMIT 1",
        (number, VIEW),
    )
    return Hit(
        number, decode_path(path), str(blob), int(str(start)), int(str(end)), str(text), 1.0,
        ("oracle",), str(language),
    )  # fmt: skip


def render(tokenizer: TextTokenizer, hole: CrossFileHole, repository: str) -> dict[str, Example]:
    """The hole as an example of each arm."""
    settings = Settings()
    budget, cut = serving_budget(settings), hole.cut
    rest = [hit for hit in hole.hits if hit.chunk_id != hole.gold.chunk_id]

    def made(hits: Sequence[Hit], shown: int) -> Example:
        return make_example(tokenizer, cut, hits, budget, repository, shown)

    plain, served = made((), 0), made(hole.hits, settings.snippets)
    context = CopyContext.of(cut.hole.path, cut.prefix, cut.suffix, hole.hits, plain.prompt)
    return {
        "nothing": plain,
        "file": plain,
        "copying": replace(plain, copy_context=context),
        "prompt": served,
        "both": served,
        "oracle": made([hole.gold, *rest], settings.snippets),
    }


def identifiers(text: str) -> list[str]:
    return IDENTIFIER.findall(text)


def complete(
    folder: Path, tokenizer: TextTokenizer, examples: dict[str, list[Example]], progress: Progress
) -> dict[str, tuple[list[Any], list[str]]]:
    """The scores and the texts of each arm."""
    from git_copilot.assistant.evaluation.arms import ArmEvaluator

    found: dict[str, tuple[list[Any], list[str]]] = {}
    for copying, arms in ((False, PLAIN), (True, COPYING)):
        settings = replace(Settings(), copying=copying)
        loaded = ArmEvaluator(folder, settings, tokenizer, progress).load_arm(None)
        for arm in arms:
            made: dict[int, Any] = {}
            scores = loaded.score(examples[arm], arm, collect=made.__setitem__)
            found[arm] = scores, [made[i].text for i in range(len(scores))]
    return found


def figures(
    holes: Sequence[CrossFileHole], scores: Sequence[Any], texts: Sequence[str]
) -> dict[str, Any]:
    """What one arm reached."""
    from git_copilot.assistant.evaluation.metrics import compare

    nothing = [replace(score, em=0.0, es=0.0) for score in scores]
    size = sum(len(hole.cut.middle.encode()) for hole in holes)
    same = [
        identifiers(text) == identifiers(hole.cut.inside(hole.cut.middle))
        for hole, text in zip(holes, texts, strict=True)
    ]
    needed = [
        not hole.names.isdisjoint(identifiers(text))
        for hole, text in zip(holes, texts, strict=True)
    ]
    return {
        "em": {k: round(v, 1) for k, v in asdict(compare(nothing, scores).em).items()},
        "es": round(sum(s.es for s in scores) / len(scores), 1),
        "names": round(100 * sum(same) / len(same), 1),
        "needed": round(100 * sum(needed) / len(needed), 1),
        "bits_per_byte": round(sum(s.nll for s in scores) / math.log(2) / size, 4),
    }


def difference(before: Sequence[Any], after: Sequence[Any]) -> dict[str, Any]:
    """In points of exact match."""
    from git_copilot.assistant.evaluation.metrics import compare

    found = compare(before, after)
    em = {k: round(v, 1) for k, v in asdict(found.em).items()}
    return {"em": em, "won": found.won, "lost": found.lost}


def report(
    holes: Sequence[CrossFileHole], done: dict[str, tuple[list[Any], list[str]]], chosen: list[int]
) -> dict[str, Any]:
    """The figures of some holes, by their indices."""
    if not chosen:
        return {"holes": 0}
    some = [holes[i] for i in chosen]
    scores = {arm: [done[arm][0][i] for i in chosen] for arm in ARMS}
    texts = {arm: [done[arm][1][i] for i in chosen] for arm in ARMS}
    return {
        "holes": len(some),
        "commits": len({hole.cut.hole.commit for hole in some}),
        "arms": {arm: figures(some, scores[arm], texts[arm]) for arm in ARMS},
        "differences": {
            name: difference(scores[one], scores[other])
            for name, (one, other) in DIFFERENCES.items()
        },
    }


def measure(
    path: Path, model: str, limit: int, examples_shown: int, progress: Progress
) -> dict[str, Any]:
    """One repository.

    :raises CopilotError: it cannot be read, or has no such holes.
    """
    repo, folder = GitRepository.discover(path), resolve_model(model)
    tokenizer, name = TextTokenizer.load(folder, model), name_of(path, repo)
    embedder = load_embedder(Settings().embedder, resolve_model(Settings().embedder))
    with (
        tempfile.TemporaryDirectory() as temporary,
        Database(Path(temporary) / DATABASE_NAME, create=True) as db,
    ):
        holes = list(read_holes(repo, db, embedder, limit, Path(temporary), progress))
    if not holes:
        raise CopilotError(f"{path} has no cross-file holes", "name others")
    rendered = [render(tokenizer, hole, name) for hole in holes]
    by_arm = {arm: [each[arm] for each in rendered] for arm in ARMS}
    done = complete(folder, tokenizer, by_arm, progress)
    found = [
        i
        for i, (hole, each) in enumerate(zip(holes, rendered, strict=True))
        if {hit.chunk_id for hit, _ in each["both"].prompt.snippets}
        & frozenset().union(*(need.defined for need in hole.needs))
    ]
    return {
        "all": report(holes, done, list(range(len(holes)))),
        "found": report(holes, done, found),
        "examples": [
            {
                "path": hole.cut.hole.path, "needs": sorted(hole.names), "before": hole.cut.prefix[-120:],
                "middle": hole.cut.middle, **{arm: done[arm][1][i] for arm in ARMS},
            }
            for i, hole in enumerate(holes[:examples_shown])
        ],
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = []
    for name, row in result["repositories"].items():
        for part in ("all", "found"):
            facts = row[part]
            lines.append(f"{name}, {part}: {facts['holes']} holes")
            for arm, each in facts.get("arms", {}).items():
                em = "{value:.1f} [{low:.1f}, {high:.1f}]".format(**each["em"])
                lines.append(
                    f"  {arm:<9}{em:>20}{each['es']:>7.1f}{each['names']:>7.1f}"
                    f"{each['needed']:>7.1f}{each['bits_per_byte']:>8.3f}"
                )
            for what, each in facts.get("differences", {}).items():
                em = "{value:+.1f} [{low:+.1f}, {high:+.1f}]".format(**each["em"])
                lines.append(f"  {what:<9}{em:>20}  {each['won']} won, {each['lost']} lost")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--repo", type=Path, nargs="+", required=True)
    add("--limit", type=int, default=LIMIT, help="holes of each repository")
    add("--model", default=Settings().model, help="name or folder of the model")
    add("--quick", action="store_true", help=f"{QUICK} holes")
    add("--json", action="store_true", help="print one JSON object")
    add("--examples", type=int, default=0, help="also give so many holes with their completions")
    add_isa_option(parser)
    options = parser.parse_args(arguments)
    limit_instructions(arguments)
    calm_threads()
    commit = output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    bar = ProgressBar(Stream(sys.stderr, screen=sys.stderr.isatty()))
    model = canonical(options.model, Path.cwd())
    limit = QUICK if options.quick else options.limit
    found: dict[str, Any] = {}
    try:
        for path in options.repo:
            found[path.name] = measure(path, model, limit, options.examples, bar)
    except CopilotError as exc:
        bar.finish()
        sys.stderr.write(f"cross_file: {exc}\n")
        return exc.exit_code
    bar.finish()
    result = {
        "bench": "cross-file", "commit": commit, "machine": machine(),
        "settings": {"model": model, "limit": limit, "form": TYPED}, "repositories": found,
    }  # fmt: skip
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
