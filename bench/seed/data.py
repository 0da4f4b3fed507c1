"""Turns the recipe's repositories into training examples, stored as one file of arrays."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut, read_cuts
from git_copilot.assistant.dataset.examples import Example, make_example, retrieve
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Embedder, Hit, Hole
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.snapshot import snapshot_holes
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database

_TOKEN = re.compile(r"\w+|[^\w\s]")
HISTORY = 20_000
# The holes with context are drawn from so many times their number of the newest ones.
NEIGHBOURS = 4


@dataclass(frozen=True, slots=True)
class Stored:
    """An example as training wants it (:class:`git_copilot.assistant.training.trainer.Trainable`)."""

    prompt_ids: tuple[int, ...]
    middle_ids: tuple[int, ...]
    open_tokens: int
    key: str
    weight: float = 1.0
    teaches_end: bool = True

    @property
    def size(self) -> int:
        return len(self.prompt_ids) + len(self.middle_ids)


def choose_holes(
    repo: GitRepository, db: Database, facts: dict[str, Any], data: dict[str, Any]
) -> list[Hole]:
    """The holes of one repository that the recipe asks for: of commits and of the tree."""
    mine(repo, db, limit=HISTORY)
    oids = [str(o) for (o,) in db.query("SELECT oid FROM commits ORDER BY time DESC, oid")]
    rng = seeded_random(str(data["seed"]), facts["name"])
    order = {oid: i for i, oid in enumerate(oids)}
    of_commits = _share_languages(load_holes(db, oids), data, rng)
    of_commits.sort(key=lambda h: (order[h.commit], h.path, h.start))
    # Those with context are of neighbouring commits: the index moves by small steps.
    near = with_context(facts, data)
    recent = _share_kinds(of_commits[: NEIGHBOURS * near], near, data, rng)
    taken = set(recent)
    rest = [h for h in of_commits if h not in taken]
    wanted = _scaled(facts["commits"], data) - len(recent)
    tree = list(snapshot_holes(repo, facts["commit"], per_file=data["snapshot_per_file"]))
    tree = _share_kinds(
        _share_languages(tree, data, rng), _scaled(facts["snapshot"], data), data, rng
    )
    chosen = [*recent, *_share_kinds(rest, wanted, data, rng), *tree]
    return sorted(chosen, key=lambda h: (order.get(h.commit, -1), h.path, h.start))


def _scaled(count: int, data: dict[str, Any]) -> int:
    return round(count * data["scale"])


def _share_kinds(
    holes: Sequence[Hole], count: int, data: dict[str, Any], rng: random.Random
) -> list[Hole]:
    """At most ``count`` holes, each kind by its share as far as there are so many of it; other
    holes make up for what is missing."""
    if len(holes) <= count:
        return list(holes)
    chosen: set[int] = set()
    for kind, share in data["kinds"].items():
        of_kind = [i for i, h in enumerate(holes) if h.kind == kind]
        chosen.update(rng.sample(of_kind, min(len(of_kind), round(count * share))))
    others = [i for i in range(len(holes)) if i not in chosen]
    chosen.update(rng.sample(others, max(0, count - len(chosen))))
    return [holes[i] for i in sorted(chosen)]


def _share_languages(holes: Sequence[Hole], data: dict[str, Any], rng: random.Random) -> list[Hole]:
    """Python's holes and at most the given share of others."""
    python = [h for h in holes if h.language == "python"]
    others = [h for h in holes if h.language != "python"]
    share = data["other_languages_share"]
    most = round(len(python) * share / (1 - share))
    return [*python, *(rng.sample(others, most) if len(others) > most else others)]


def render(
    tokenizer: TextTokenizer,
    cuts: Sequence[Cut],
    hits: dict[int, list[Hit]],
    repository: str,
    data: dict[str, Any],
) -> Iterator[Example]:
    """Examples with a budget drawn for each; some show nothing behind the cursor."""
    for i, cut in enumerate(cuts):
        rng = seeded_random(str(data["seed"]), cut.hole.commit, cut.hole.path, str(cut.hole.start))
        kind = "retrieval" if hits.get(i) else "plain"
        budget = Budget(*rng.choice(data["budgets"][kind]))
        if rng.random() < data["left_to_right_share"]:
            cut = Cut(cut.hole, cut.prefix, cut.middle, "")
        yield make_example(tokenizer, cut, hits.get(i, ()), budget, repository)


def with_context(facts: dict[str, Any], data: dict[str, Any]) -> int:
    """How many holes of commits get snippets: the newest ones."""
    return round(_scaled(facts["commits"], data) * data["retrieval_share"])


def find_context(
    repo: GitRepository,
    db: Database,
    cuts: Sequence[Cut],
    facts: dict[str, Any],
    data: dict[str, Any],
    embedder: Embedder,
) -> dict[int, list[Hit]]:
    """Snippets for the holes of the newest commits and for a share of the tree's, from the tree
    before each commit."""
    of_commits = [i for i, cut in enumerate(cuts) if cut.hole.author]
    of_tree = [i for i, cut in enumerate(cuts) if not cut.hole.author]
    rng = seeded_random(str(data["seed"]), facts["name"], "context")
    chosen = [
        *rng.sample(of_tree, round(len(of_tree) * data["retrieval_share"])),
        *of_commits[: with_context(facts, data)],
    ]
    found = retrieve(RepositoryContext(repo, db, Settings(), embedder), [cuts[i] for i in chosen])
    return {i: hits for i, hits in zip(chosen, found, strict=True) if hits}


def grams(text: str, length: int) -> set[str]:
    """Every run of ``length`` tokens."""
    tokens = _TOKEN.findall(text)
    return {" ".join(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


def drop_contaminated(
    cuts: Sequence[Cut], forbidden: set[str], length: int
) -> tuple[list[Cut], int]:
    """Cuts whose middle and neighbourhood share no run of tokens with the evaluation."""
    kept = []
    for cut in cuts:
        near = cut.prefix[-1500:] + cut.middle + cut.suffix[:600]
        if not forbidden & grams(near, length):
            kept.append(cut)
    return kept, len(cuts) - len(kept)


def read_repository(
    source: Path,
    facts: dict[str, Any],
    data: dict[str, Any],
    work: Path,
    tokenizer: TextTokenizer,
    embedder: Embedder,
    forbidden: set[str],
) -> tuple[list[Example], dict[str, object]]:
    """All examples of one repository, and what was counted on the way."""
    repo = GitRepository.discover(source)
    with Database(work, create=True) as db:
        holes = choose_holes(repo, db, facts, data)
        cuts, dropped = drop_contaminated(
            read_cuts(repo, holes), forbidden, data["contamination_tokens"]
        )
        hits = find_context(repo, db, cuts, facts, data, embedder)
    examples = list(render(tokenizer, cuts, hits, facts["name"].split("/")[1], data))
    kinds = Counter(e.hole.kind for e in examples)
    return examples, {
        "name": facts["name"],
        "examples": len(examples),
        "with_snippets": sum(bool(e.prompt.snippets) for e in examples),
        "contaminated": dropped,
        "kinds": dict(kinds),
        "tokens": sum(e.size for e in examples),
    }


def save(path: Path, name: str, examples: Iterable[Example]) -> None:
    """Write examples as arrays: all ids in a row, and where each part ends."""
    rows = list(examples)
    ids = np.array([i for e in rows for i in (*e.prompt_ids, *e.middle_ids)], dtype=np.uint16)
    sizes = np.array([[len(e.prompt_ids), len(e.middle_ids), e.open_tokens] for e in rows])
    keys = np.array(json.dumps([f"{name} {e.key}" for e in rows]).encode())
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, ids=ids, sizes=sizes.reshape(len(rows), 3), keys=keys)
    temporary.replace(path)


def load(path: Path) -> list[Stored]:
    """Read what :func:`save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        ids, sizes = arrays["ids"].tolist(), arrays["sizes"].tolist()
        keys = json.loads(arrays["keys"].item())
    found, place = [], 0
    for (prompt, middle, open_tokens), key in zip(sizes, keys, strict=True):
        end = place + prompt + middle
        found.append(
            Stored(
                tuple(ids[place : place + prompt]),
                tuple(ids[place + prompt : end]),
                open_tokens,
                key,
            )
        )
        place = end
    return found
