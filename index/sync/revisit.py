"""Has commits mined again that lacked something when they were looked at, once it is here.

A fetch fires no hook. So whatever mines looks for what came, and :func:`is_due` says at the cost of
a few ``stat`` calls whether that is worth it: after ``git fetch --unshallow``, ``--refetch``, a
replace ref, or objects of a partial clone that git fetched for itself.
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
# `git fetch --refetch` came with it.
REFETCH_VERSION = (2, 36)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the files say that change when history is cut or bent elsewhere (``bent``), and when
    objects come (``came``): few of them come as loose ones, which only ``FETCH_HEAD`` shows."""

    bent: str
    came: str


def stamp(repo: GitRepository) -> Stamp:
    """The stamp of now, without running git."""
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
    """Commits were looked at with what was here at ``now``."""
    _write(db, _STAMP, json.dumps(asdict(now)))


def record_limit(db: Database, limit: int) -> None:
    """There are more commits than the newest ``limit``, which were looked at; 0: none more."""
    _write(db, _LIMIT, str(limit))


def is_due(repo: GitRepository, db: Database) -> bool:
    """Whether something may have come that was missed. Cheap enough for every query."""
    known = _read(db, _STAMP)
    if known is None:  # nothing was mined yet
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
    """Take out the commits that can be mined better now: at a boundary of shallow history that has
    moved, with a parent that was replaced, or with an object that has come. Whoever mines then
    takes them for new.

    :return: how many.
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
    """What stands in place of a commit, or of its parents, by the commit's id."""
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
    """What is not learnt or not indexed because it is not here.

    ``shallow``: commits at the boundary of a shallow clone. ``commits``: those without examples
    because ``versions`` of files are missing. ``files``: HEAD's, in this worktree's view, that are
    not indexed. ``limit``: older commits than the newest so many were left out; 0: none were.
    """

    shallow: int = 0
    commits: int = 0
    versions: int = 0
    files: int = 0
    limit: int = 0

    @property
    def missing(self) -> bool:
        """Whether a fetch would bring more."""
        return bool(self.shallow or self.commits or self.files)


def find_missing_history(repo: GitRepository, db: Database) -> MissingHistory:
    """Count what is missing, as far as it was looked at."""
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
    """The command that fetches what is missing; empty when nothing is."""
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
    """The remote that promised the missing objects."""
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
