"""On a full disk reading works, writing explains why it cannot, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.database_files import replacement_path
from tests.support.commands import Copilot
from tests.support.gitrepo import GitRepo
from tests.support.restricted_user import mounts

# A file system of its own, which only these commands see and which goes with them.
MOUNTED = 'mount -t tmpfs -o size=6m tmpfs "$0" && cd "$0" && . "$1"'
STEPS = """
set +e
step() {
    name=$1; shift
    "$@" >"$OUT/$name.out" 2>"$OUT/$name.err"; echo $? >"$OUT/$name.code"
}
git clone -q "$FROM" clone && cd clone
git config copilot.server false
step init git copilot init --no-hooks
step forget git copilot forget --path src/util.py
cp -R .git/copilot "$OUT/before"
fill() { dd if=/dev/zero of=fill bs=1k 2>/dev/null; }
fill
step complete git copilot complete src/app.py:5
step search git copilot search --json beta
step list git copilot forget --list
step undo git copilot forget --undo src/util.py
step doctor git copilot doctor
step status git copilot status
step rebuild git copilot index --rebuild
rm fill
dd if=/dev/zero of=most bs=1k count=$(($(df -k --output=avail . | tail -1) - 120)) 2>/dev/null
step narrow git copilot index --rebuild
rm most
step kept git copilot forget --list
step after git copilot status --json
ls -A .git/copilot >"$OUT/left"
step again git copilot index --rebuild
step last git copilot forget --list
"""


class FullDisk:
    """The outputs of commands that ran on a full disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def code(self, step: str) -> int:
        return int((self.folder / f"{step}.code").read_text())

    def out(self, step: str) -> str:
        return (self.folder / f"{step}.out").read_text()

    def problem(self, step: str) -> str:
        """The one line on stderr of a step that failed."""
        told = (self.folder / f"{step}.err").read_text()
        assert (self.code(step), told.count("\n")) == (1, 1), told
        return told


@pytest.fixture
def full_disk(project: GitRepo, tmp_path: Path) -> FullDisk:
    if not mounts():
        pytest.skip("no file system can be mounted here")
    place, out, steps = tmp_path / "disk", tmp_path / "out", tmp_path / "steps.sh"
    place.mkdir()
    out.mkdir()
    steps.write_text(f"OUT='{out}' FROM='{project.path}'\n{STEPS}")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", MOUNTED, place, steps], capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    return FullDisk(out)


def test_on_a_full_disk_reads_work_writes_explain_and_nothing_is_lost(full_disk):
    assert (full_disk.code("init"), full_disk.code("forget")) == (0, 0)
    # What only reads answers.
    assert full_disk.code("complete") == 0, full_disk.problem("complete")
    assert (full_disk.folder / "complete.err").read_text() == ""
    assert json.loads(full_disk.out("search"))["hits"]
    assert "src/util.py" in full_disk.out("list")
    # What writes says why it cannot, and names no mend that would make things worse.
    for step in ("undo", "rebuild", "narrow"):
        assert "free some disk space" in full_disk.problem(step)
        assert "copilot.db" in full_disk.problem(step)
        assert "--rebuild" not in full_disk.problem(step) and "damaged" not in full_disk.problem(
            step
        )
    told = [line for line in full_disk.out("doctor").splitlines() if "disk space" in line]
    assert any("copilot.db" in line for line in told), full_disk.out("doctor")
    assert "damaged" not in full_disk.out("doctor")
    # Neither rebuild, without any room or with too little, cost anything.
    assert "src/util.py" in full_disk.out("kept")
    index = json.loads(full_disk.out("after"))["index"]
    assert index["fresh"] and index["vectors"] == index["chunks"] > 0
    left = (full_disk.folder / "left").read_text().split()
    assert DATABASE_NAME in left
    assert not [x for x in left if x.startswith((f"{DATABASE_NAME}.new", ".worker.pid."))], left
    assert (full_disk.code("again"), full_disk.code("last")) == (0, 0)
    assert "src/util.py" in full_disk.out("last")


def test_a_failed_or_killed_rebuild_keeps_the_old_index(copilot, project):
    copilot.ok("forget", "src/util.py")
    path = project.git_dir / "copilot" / DATABASE_NAME
    with Database(path) as db:
        identity = db.identity
    replacement_path(path).mkdir()  # nothing can be made there
    assert copilot.run("index", "--rebuild").returncode == 1
    replacement_path(path).rmdir()
    replacement_path(path).write_bytes(b"half of one")
    with Database(path) as db:
        assert db.identity == identity
    assert copilot.json("search", "beta")["hits"]
    copilot.ok("index", "--rebuild")
    assert not replacement_path(path).exists()
    with Database(path) as db:
        assert db.identity != identity
    assert "src/util.py" in copilot.ok("forget", "--list")


def test_an_index_without_vectors_is_not_reported_as_fresh(copilot, project):
    assert ", fresh:" in copilot.ok("status")
    with Database(project.git_dir / "copilot" / DATABASE_NAME) as db, db.transaction() as c:
        c.execute("DELETE FROM vectors")
    assert "vectors are missing:" in copilot.ok("status")
    assert "fresh" not in copilot.ok("status")


def test_a_database_emptied_under_the_server_names_the_remedy(copilot: Copilot, project):
    copilot.ok("complete", "src/app.py:5")
    assert copilot.json("status")["server"]["running"]
    (project.git_dir / "copilot" / DATABASE_NAME).write_bytes(b"")
    for args in (["doctor"], ["complete", "src/app.py:5"], ["status"]):
        done = copilot.run(*args)
        told = (done.stdout + done.stderr).decode()
        assert done.returncode == 1 and "git copilot index --rebuild" in told, told
        assert "busy" not in told
    copilot.ok("index", "--rebuild")
    copilot.ok("complete", "src/app.py:5")
    assert copilot.json("status")["index"]["fresh"]
