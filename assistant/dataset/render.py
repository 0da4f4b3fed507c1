"""Training texts as rows: what an adapter would learn from, with control tokens written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import (
    TRAINING_SHARE,
    Cut,
    Example,
    cut_blob,
    retrieve,
    serving_budget,
    training_examples,
    with_retrieval,
)
from git_copilot.assistant.dataset.hole_selection import COMMITS, SNAPSHOT, at_fim_rate, tree_holes
from git_copilot.assistant.dataset.row_files import Row
from git_copilot.assistant.dataset.rows import hole_batches, hole_row, with_blobs
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Embedder, Hit, Hole, Progress, no_progress
from git_copilot.index.embedding.vectors import VectorIndex, load_vectors
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.redaction import redact
from git_copilot.index.store.allowed_lines import allowed_in
from git_copilot.index.store.database import Database

SNAPSHOT_BATCH = 1000


@dataclass(frozen=True, slots=True)
class _Renderer:
    """What turns holes into texts, as a refresh turns them into examples."""

    repo: GitRepository
    db: Database
    settings: Settings
    tokenizer: TextTokenizer
    embedder: Embedder | None
    vectors: VectorIndex | None
    progress: Progress

    def rows(self, holes: Sequence[Hole]) -> Iterator[Row]:
        """One row per hole whose text is here and has no secret on its lines."""
        cuts = [cut_blob(data, hole) for hole, data in with_blobs(self.repo, holes)]
        cuts = at_fim_rate(cuts, self.settings.seed)
        examples = training_examples(
            self.tokenizer,
            cuts,
            self._snippets(cuts),
            serving_budget(self.settings, TRAINING_SHARE),
            self.repo.name,
            self.settings.seed,
        )
        for example in examples:
            text = spell(self.tokenizer, example)
            if text is not None:
                yield {**hole_row(self.repo.name, example.hole), "text": text}

    def _snippets(self, cuts: Sequence[Cut]) -> list[list[Hit]]:
        """Snippets as of the parent commit, for those cuts that are shown any."""
        shown = [i for i, cut in enumerate(cuts) if with_retrieval(cut, self.settings.seed)]
        hits: list[list[Hit]] = [[] for _ in cuts]
        found = retrieve(
            self.repo,
            self.db,
            [cuts[i] for i in shown],
            self.settings,
            embedder=self.embedder,
            vectors=self.vectors,
            progress=self.progress,
        )
        allowed = allowed_in(self.repo)
        for i, each in zip(shown, found, strict=True):
            hits[i] = [replace(hit, text=redact(hit.text, hit.path, allowed)) for hit in each]
        return hits


def spell(tokenizer: TextTokenizer, example: Example) -> str | None:
    """An example as text, the end token included; ``None`` where the code itself spells a control
    token, which a tokenizer that reads the text again could not tell from a real one."""
    ids = [*example.prompt_ids, *example.middle_ids]
    text = tokenizer.spell(ids)
    for control in control_ids(tokenizer):
        written = tokenizer.spell([control]).strip()
        if written and text.count(written) != ids.count(control):
            return None
    return text


def control_ids(tokenizer: TextTokenizer) -> frozenset[int]:
    """The control tokens that a training text may hold."""
    fim = tokenizer.fim
    names = (fim.prefix, fim.suffix, fim.middle, fim.repo, fim.file, fim.begin) if fim else ()
    return tokenizer.end_ids | {tokenizer.control(name) for name in names if name}


def rendered_rows(
    repo: GitRepository,
    db: Database,
    settings: Settings,
    source: str,
    *,
    since: int | None = None,
    progress: Progress = no_progress,
) -> Iterator[Row]:
    """One row per hole with its training text: rendered by the prompt builder of serving, with
    the budget of training, snippets for half of them, the middle and the end token.

    :param source: holes of commits, of HEAD's tree (half of them without the text after them, so
        that they are written left to right), or both.
    :raises ModelError: the model is not here.
    """
    folder = resolve_model(settings.model)
    embedder = ready_embedder(settings)
    renderer = _Renderer(
        repo,
        db,
        settings,
        TextTokenizer.load(folder, settings.model),
        embedder,
        load_vectors(db, repo.state_dir, embedder),
        progress,
    )
    if source != SNAPSHOT:
        for holes in hole_batches(repo, db, since, progress):
            yield from renderer.rows(holes)
    head = repo.head_commit()
    if source != COMMITS and head is not None:
        found = tree_holes(repo, db, head)
        number = 0
        while holes := list(islice(found, SNAPSHOT_BATCH)):
            progress("exporting files", number, 0)
            number += len(holes)
            yield from renderer.rows(holes)
