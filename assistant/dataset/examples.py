"""Turns holes into examples, with the prompt builder and the retrieval of serving.

The context of a hole comes from the tree of its commit's first parent: nothing newer than the
parent enters a prompt (benchmarks such as CrossCodeEval leak when the index holds the answer).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.decoding.generation import CopyContext
from git_copilot.assistant.prompt.builder import Budget, Prompt, build_prompt
from git_copilot.assistant.prompt.cursor_query import cursor_query, edited_file
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hit, Hole
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.windows import SEQUENCE, WINDOW
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.cochange import CoChange
from git_copilot.index.search.overlay import EMPTY_OVERLAY
from git_copilot.index.search.retriever import Searcher
from git_copilot.index.store import views
from git_copilot.index.store.database import Database
from git_copilot.index.sync.sync import sync

# Views of training: `train/<process id>`, so that the leftovers of a dead process are recognised.
VIEW_PREFIX = "train/"
# Training prompts have half the length of serving prompts: a CPU trains on twice as many holes in
# the same time, and the shares of context, suffix and prefix stay the same.
TRAINING_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what should follow: ``middle_ids`` begins with the prompt's forced prefix and
    ends with the end token. ``weight`` scales its loss in training; a completion may copy from
    ``copy_context``."""

    prompt_ids: tuple[int, ...]
    middle_ids: tuple[int, ...]
    cut: Cut
    prompt: Prompt
    weight: float = 1.0
    copy_context: CopyContext | None = None

    @property
    def hole(self) -> Hole:
        return self.cut.hole

    @property
    def prefix(self) -> str:
        return self.cut.prefix

    @property
    def middle(self) -> str:
        return self.cut.middle

    @property
    def suffix(self) -> str:
        return self.cut.suffix

    @property
    def open_tokens(self) -> int:
        """Number of tokens at the prompt's end that are text which the middle continues."""
        return self.prompt.open_tokens

    @property
    def teaches_end(self) -> bool:
        """Whether an author ended the middle where it ends; a passage is cut anywhere."""
        return self.hole.kind != WINDOW

    @property
    def key(self) -> str:
        """Identifies the hole."""
        hole = self.hole
        return f"{hole.commit} {hole.path} {hole.start} {hole.end}"

    @property
    def size(self) -> int:
        """Total number of tokens."""
        return len(self.prompt_ids) + len(self.middle_ids)


def serving_budget(settings: Settings, share: float = 1.0) -> Budget:
    """The token budget of a completion, multiplied by ``share``."""
    return Budget(
        *(
            round(tokens * share)
            for tokens in (settings.prompt_tokens, settings.context_tokens, settings.suffix_tokens)
        )
    )


def parent_trees(repo: GitRepository, commits: Sequence[str]) -> dict[str, str | None]:
    """The tree of each commit's first parent, ``None`` for a root commit."""
    feed = "".join(f"{oid}\n" for oid in commits).encode()
    if not feed:
        return {}
    out = repo.run("rev-list", "--no-walk=unsorted", "--parents", "--stdin", stdin=feed).decode()
    parents = {line.split()[0]: line.split()[1:2] for line in out.splitlines()}
    wanted = "".join(f"{p[0]}^{{tree}}\n" for p in parents.values() if p).encode()
    trees = iter(
        repo.run("cat-file", "--batch-check=%(objectname)", stdin=wanted).decode().splitlines()
        if wanted
        else []
    )
    return {oid: next(trees) if parent else None for oid, parent in parents.items()}


@contextmanager
def _passing_view(db: Database) -> Iterator[str]:
    """A view of this process; views that dead processes left are dropped first."""
    for old in views.view_names(db, VIEW_PREFIX):
        if not _alive(old.removeprefix(VIEW_PREFIX)):
            views.drop_view(db, old)
    view = f"{VIEW_PREFIX}{os.getpid()}"
    try:
        yield view
    finally:
        views.drop_view(db, view)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return int(process) != os.getpid()


def retrieve(
    context: RepositoryContext, cuts: Sequence[Cut], *, held_out: int = 0
) -> list[list[Hit]]:
    """Snippets for each cut, best first, from the tree before its commit: all that
    :func:`retrieve_in_turn` finds."""
    found: list[list[Hit]] = [[] for _ in cuts]
    for i, hits in retrieve_in_turn(context, cuts, held_out=held_out):
        found[i] = hits
    context.progress("retrieving", len(cuts), len(cuts))
    return found


def retrieve_in_turn(
    context: RepositoryContext,
    cuts: Sequence[Cut],
    *,
    held_out: int = 0,
    wanted: Callable[[int], bool] = lambda i: True,
) -> Generator[tuple[int, list[Hit]], None, None]:
    """The index of each cut and its snippets, best first, from the tree before its commit. Whoever
    has enough, or no time left, closes the generator.

    One view moves along the commits in the order of ``cuts``, so that each step is the difference
    of two neighbouring trees, and the newest, which the index holds already, come first.

    :param context: with its embedder and vectors, or without for a search by words.
    :param cuts: newest first.
    :param held_out: the first ``held_out`` cuts get as many snippets as serving looks for; the
        others get the number that a prompt has room for.
    :param wanted: whether the cut of an index gets any; the others take no time.
    """
    repo, db, settings = context.repo, context.db, context.settings
    by_commit: dict[str, list[int]] = {}
    for i, cut in enumerate(cuts):
        by_commit.setdefault(cut.hole.commit, []).append(i)
    trees, done = parent_trees(repo, list(by_commit)), 0
    budget = serving_budget(settings)
    with _passing_view(db) as view:
        searcher, together = Searcher(db, view, context.vectors), CoChange(repo)
        for oid, indices in by_commit.items():
            tree = trees.get(oid)
            if tree is not None and any(map(wanted, indices)):
                context.progress("retrieving", done, len(cuts))
                sync(repo, db, context.embedder, view=view, tree=tree)
            for i in indices:
                cut = cuts[i]
                context.progress("retrieving", done, len(cuts))
                done += 1
                if tree is None or not wanted(i):
                    yield i, []
                    continue
                partners = together.partners(f"{oid}^", cut.hole.path)
                file = edited_file(cut.hole.path, cut.prefix, cut.suffix, budget)
                query = cursor_query(file, cut.hole.language, partners)
                count = settings.snippets_to_find if i < held_out else settings.snippets
                overlay = file.added_to(EMPTY_OVERLAY)
                yield i, searcher.search(query, count, context.embedder, overlay)


def make_example(
    tokenizer: TextTokenizer,
    cut: Cut,
    hits: Sequence[Hit],
    budget: Budget,
    repository: str = "",
    snippets: int | None = None,
    *,
    healing: bool = True,
) -> Example:
    """Render a cut with the prompt builder of serving.

    :param snippets: how many of the hits may enter the prompt; the others can only be copied from.
    """
    cut = cut.as_served()
    prompt = build_prompt(
        tokenizer,
        healing=healing,
        path=cut.hole.path,
        language=cut.hole.language,
        prefix=cut.prefix,
        suffix=cut.suffix,
        snippets=hits[:snippets],
        budget=budget,
        repository=repository,
    )
    copy_context = CopyContext.of(cut.hole.path, cut.prefix, cut.suffix, hits, prompt)
    middle = (*tokenizer.encode(prompt.forced_prefix + cut.middle), tokenizer.end_id)
    return Example(prompt.ids, middle, cut, prompt, copy_context=copy_context)


def with_retrieval(cut: Cut, seed: int) -> bool:
    """Whether a training example gets snippets: half of them do, so that the model learns to
    complete with and without them. Passages of files never do: they need the room."""
    hole = cut.hole
    return (
        hole.kind not in (WINDOW, SEQUENCE)
        and seeded_random(str(seed), hole.commit, hole.path, str(hole.start)).random() < 0.5
    )


def training_examples(
    tokenizer: TextTokenizer,
    cuts: Sequence[Cut],
    hits: Sequence[Sequence[Hit]],
    budget: Budget,
    repository: str,
    seed: int,
) -> list[Example]:
    """Training examples, half of them with their snippets."""
    examples = []
    for cut, found in zip(cuts, hits, strict=True):
        shown = found if with_retrieval(cut, seed) else ()
        example = make_example(tokenizer, cut, shown, budget, repository)
        if cut.hole.kind == WINDOW and not example.open_tokens:
            # In this family the suffix parts the middle from the text before it, which is to be
            # learnt here.
            example = make_example(tokenizer, replace(cut, suffix=""), (), budget, repository)
        examples.append(example)
    return examples
