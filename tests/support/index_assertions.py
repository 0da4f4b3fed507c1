"""Checks that an index equals one built from scratch; and the worker, run in this process."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path

from git_copilot.assistant.background import handlers
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.embedder import ready_embedder
from git_copilot.hooks.events import Event
from git_copilot.hooks.spool import Spool
from git_copilot.hooks.worker import run_worker
from git_copilot.index.embedding.vectors import load_vectors
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync

QUERIES = (
    Query("value of alpha"),
    Query("a helper with a name", names=("alpha", "helper", "gamma")),
    Query("class beta import self", partial="alp", modules=("util", "side")),
    Query("import alpha return self", partners={"src/app.py": 1.0}, language="python"),
)


def run_jobs(repo: GitRepository) -> None:
    """Drain the spool as the worker does, in this process."""
    log = logging.getLogger("test")
    run_worker(repo.state_dir, handlers(log), log=log, detached=False)


def index_repository(repo: GitRepository) -> None:
    """Index a repository as its first event does."""
    Spool(repo.state_dir).append(Event("post-checkout", str(repo.git_dir)))
    run_jobs(repo)


def worktrees(repo: GitRepository) -> list[GitRepository]:
    """The repository's own worktree and the linked ones."""
    linked = sorted((repo.common_dir / "worktrees").glob("*/HEAD"))
    main = GitRepository(repo.common_dir, repo.common_dir, None)
    return [main, *(GitRepository(head.parent, repo.common_dir, None) for head in linked)]


def view_content(db: Database, view: str) -> dict[str, list]:
    """Everything in a view, without database ids, which differ between any two databases."""
    of_view = " JOIN files f ON f.blob_id = b.id JOIN views v ON v.id = f.view_id WHERE v.name = ?"
    chunks = (
        "SELECT DISTINCT b.oid, b.language, c.start_line, c.end_line, c.start_byte, c.end_byte,"
        f" c.kind, c.name, c.scope, c.text{{}} FROM blobs b JOIN chunks c ON c.blob_id = b.id{{}}{of_view}"
    )
    return {
        "tree": db.query("SELECT tree FROM views WHERE name = ?", (view,)),
        "files": db.query(
            "SELECT f.path, b.oid, b.language, b.lines, b.skipped, b.searchable FROM blobs b"
            f"{of_view} ORDER BY 1",
            (view,),
        ),
        "chunks": sorted(db.query(chunks.format("", ""), (view,))),
        "symbols": sorted(
            db.query(
                chunks.format(
                    ", s.name, s.line, s.kind, s.signature, s.scope, s.doc", " JOIN symbols s ON s.chunk_id = c.id"
                ),
                (view,),
            )
        ),
        "vectors": sorted(
            db.query(
                chunks.format(
                    ", x.embedder, x.vector", " JOIN vectors x ON x.chunk_id = c.id"
                ),
                (view,),
            )
        ),
    }  # fmt: skip


def search_results(db: Database, view: str, repo: GitRepository, folder: Path) -> list[list[tuple]]:
    """The hits of QUERIES, with scores and sources. ``folder`` has no snapshot of vectors."""
    embedder = ready_embedder(load_settings(repo))
    searcher = Searcher(db, view, load_vectors(db, folder, embedder))
    return [
        [
            (h.path, h.blob, h.start_line, h.end_line, round(h.score, 9), h.sources)
            for h in searcher.search(query, 10, embedder)
        ]
        for query in QUERIES
    ]


def assert_index_is_current(repo: GitRepository, *, search: bool = True) -> None:
    """Every worktree's view equals that of an index built from scratch, and the database is intact.

    :raises AssertionError: it is not.
    """
    embedder = ready_embedder(load_settings(repo))
    with ExitStack() as stack:
        empty = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kept = stack.enter_context(Database(repo.state_dir / DATABASE_NAME))
        new = stack.enter_context(Database(empty / DATABASE_NAME, create=True))
        trees = worktrees(repo)
        for tree in trees:
            sync(tree, new, embedder)
        for tree in trees:
            view = tree.view_name
            seen, wanted = view_content(kept, view), view_content(new, view)
            for part in wanted:
                assert seen[part] == wanted[part], (part, view)
            if search:
                found = search_results(kept, view, tree, empty)
                assert found == search_results(new, view, tree, empty), view
                assert any(found) or not wanted["chunks"]
        # The words of what was hidden lately may still be there.
        shown = "SELECT oid, language FROM blobs WHERE hidden_at IS NULL ORDER BY 1, 2"
        assert kept.query(shown) == new.query(shown)
        assert not kept.query("SELECT 1 FROM blobs WHERE hidden_at IS NULL AND NOT searchable")
        assert {str(name) for (name,) in kept.query("SELECT name FROM views")} == {
            tree.view_name for tree in trees
        }
        assert kept.query("PRAGMA integrity_check") == [("ok",)]
        kept.connection.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('integrity-check')")
