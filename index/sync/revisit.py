"""Queues commits to be mined again once objects that they lacked have arrived.

A fetch fires no hook. So mining looks for new objects, and :func:`is_due` tells with a few ``stat``
calls whether that may be needed: after ``git fetch --unshallow``, ``--refetch``, a replace ref, or
when git has fetched objects of a partial clone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from git_copilot.index.git.history import shallow_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.contents import MISSING
from git_copilot.index.store.database import Database

_REPLACED, _STAMP, _LIMIT = "replaced", "mined_stamp", "mined_limit"
REPLACE_REFS = "refs/replace/"
# The first version with `git fetch --refetch`.
REFETCH_VERSION = (2, 36)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Times and sizes of files that change with shallow boundaries, grafts and replace refs
    (``bent``), and when objects arrive (``came``). A few loose objects show in ``FETCH_HEAD``
    only."""

    bent: str
    came: str


def stamp(repo: GitRepository) -> Stamp:
    """The current stamp, without running git."""
    common = repo.common_dir
    bent = (common / name for name in ("shallow", "info/grafts", REPLACE_REFS))
    came = (common / name for name in ("FETCH_HEAD", "objects", "objects/pack"))
    return Stamp(" ".join(map(_facts, bent)), " ".join(map(_facts, came)))


def _facts(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return "-"
    return f"{facts.st_mtime_ns}.{facts.st_size}"


def record_stamp(db: Database, now: Stamp) -> None:
    """Record that commits were mined with the objects present at ``now``."""
    _write(db, _STAMP, json.dumps(asdict(now)))


def record_limit(db: Database, limit: int) -> None:
    """Record that only the newest ``limit`` commits were mined; 0: all."""
    _write(db, _LIMIT, str(limit))


def is_due(repo: GitRepository, db: Database) -> bool:
    """Whether missing objects may have arrived. Cheap enough for every query."""
    known = _read(db, _STAMP)
    if known is None:  # nothing has been mined yet
        return False
    before, now = Stamp(**json.loads(known)), stamp(repo)
    if before == now:
        return False
    return before.bent != now.bent or bool(
        db.scalar(
            "SELECT EXISTS (SELECT 1 FROM commits WHERE waits_for IS NOT NULL)"
            " OR EXISTS (SELECT 1 FROM blobs WHERE skipped = ?)",
            (MISSING,),
        )
    )


def revisit(repo: GitRepository, db: Database) -> int:
    """Delete the records of commits that can be mined better now, so that they are mined again:
    those at a shallow boundary that has moved, with a replaced parent, or with an object that has
    arrived.

    :return: the number of commits.
    """
    cut = shallow_commits(repo)
    rows = db.query(
        "SELECT oid, waits_for FROM commits WHERE status = 'shallow' OR waits_for != ''"
    )
    again = {str(oid) for oid, waits_for in rows if waits_for is None and oid not in cut}
    waiting = {str(oid): str(waits_for) for oid, waits_for in rows if waits_for is not None}
    here = repo.blob_sizes(set(waiting.values())).keys()
    again |= {oid for oid, waits_for in waiting.items() if waits_for in here}
    before: dict[str, str] = json.loads(_read(db, _REPLACED) or "{}")
    now = _replaced(repo)
    again |= {oid for oid in before.keys() | now.keys() if before.get(oid) != now.get(oid)}
    if again or now != before:
        with db.transaction() as connection:
            connection.executemany("DELETE FROM commits WHERE oid = ?", [(oid,) for oid in again])
            connection.execute(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", (_REPLACED, json.dumps(now))
            )
    return len(again)


def _replaced(repo: GitRepository) -> dict[str, str]:
    """The replacement of a commit, or of its parents, by commit id."""
    found = {}
    refs = repo.run("for-each-ref", "--format=%(refname) %(objectname)", REPLACE_REFS).decode()
    for line in refs.splitlines():
        name, _, oid = line.partition(" ")
        found[name.removeprefix(REPLACE_REFS)] = oid
    try:
        grafts = (repo.common_dir / "info/grafts").read_text("utf-8", "replace")
    except OSError:
        return found
    for line in grafts.splitlines():
        commit, _, parents = line.strip().partition(" ")
        if commit and not commit.startswith("#"):
            found[commit] = f"graft {parents}"
    return found


@dataclass(frozen=True, slots=True)
class MissingHistory:
    """History and files that are not mined or indexed because their objects are missing.

    ``shallow``: commits at the boundary of a shallow clone. ``commits``: those without examples
    because ``versions`` of files are missing. ``files``: files of HEAD in this worktree's view that
    are not indexed. ``limit``: only this number of newest commits was mined; 0: all were.
    """

    shallow: int = 0
    commits: int = 0
    versions: int = 0
    files: int = 0
    limit: int = 0

    @property
    def missing(self) -> bool:
        """Whether a fetch would help."""
        return bool(self.shallow or self.commits or self.files)


def find_missing_history(repo: GitRepository, db: Database) -> MissingHistory:
    """Count what is missing, among the commits examined so far."""
    return MissingHistory(
        shallow=db.scalar("SELECT count(*) FROM commits WHERE status = 'shallow'"),
        commits=db.scalar("SELECT count(*) FROM commits WHERE status = 'missing'"),
        versions=db.scalar(
            "SELECT coalesce(sum(l.count), 0) FROM left_out l JOIN commits c ON c.oid = l.commit_oid"
            " WHERE c.status = 'missing'"
        ),
        files=db.scalar(
            "SELECT count(*) FROM files f JOIN views v ON v.id = f.view_id"
            " JOIN blobs b ON b.id = f.blob_id WHERE v.name = ? AND b.skipped = ?",
            (repo.view_name, MISSING),
        ),
        limit=int(_read(db, _LIMIT) or 0),
    )


def fetch_command(repo: GitRepository, found: MissingHistory) -> str:
    """The command that fetches the missing objects; empty if there are none."""
    if not found.missing:
        return ""
    if not found.commits and not found.files:
        return "git fetch --unshallow"
    remote = _promisor(repo)
    if _git_version(repo) < REFETCH_VERSION:
        return f'git clone "$(git remote get-url {remote})"  # without --filter'
    deepen = " --unshallow" if found.shallow else ""
    return f"git fetch --refetch --no-filter{deepen} {remote}"


def _promisor(repo: GitRepository) -> str:
    """The name of the remote that has promised the missing objects."""
    ask = ("config", "--get-regexp", r"^remote\..*\.promisor$", "true")
    code, out, _ = repo.try_run(*ask)
    if code or not out:
        return "origin"
    key = out.decode("utf-8", "replace").splitlines()[0].split(" ")[0]
    return key.removeprefix("remote.").removesuffix(".promisor")


def _git_version(repo: GitRepository) -> tuple[int, ...]:
    """Major and minor version of git."""
    words = repo.run("version").decode().split()
    return tuple(int(part) for part in words[2].split(".")[:2] if part.isdigit())


def _read(db: Database, key: str) -> str | None:
    rows = db.query("SELECT value FROM meta WHERE key = ?", (key,))
    return str(rows[0][0]) if rows else None


def _write(db: Database, key: str, value: str) -> None:
    if _read(db, key) != value:
        with db.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
