"""A read-only repository can be queried; commands that write refuse in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.commands import Copilot, assert_one_line
from tests.support.restricted_user import mounts, run_restricted, set_writable


class Restricted(Copilot):
    """The commands of somebody who may not write what is not writable."""

    def run(self, *args, stdin="", cwd=None, **env):
        return run_restricted("git", "copilot", *map(str, args), cwd=cwd or self.path, **env)


@pytest.fixture
def read_only_repo(copilot, project):
    """An initialised repository that nobody may write."""
    project.git("config", "copilot.server", "false")
    set_writable(project.path, False)
    yield Restricted(project.path)
    set_writable(project.path, True)


def findings(commands):
    done = commands.run("doctor", "--json")
    return done.returncode, {f["check"]: f for f in json.loads(done.stdout)}


def test_read_only_commands_work_in_a_read_only_repository(read_only_repo):
    found = read_only_repo.json("search", "alpha")
    assert next(h["path"] for h in found["hits"]) == "src/util.py" and found["index"]["fresh"]
    answer = read_only_repo.json("complete", "src/app.py:5", "--no-server")
    assert [s["path"] for s in answer["snippets"]] == ["src/util.py"] and answer["index"]["fresh"]
    assert read_only_repo.json("status")["index"]["files"] == 3
    assert read_only_repo.ok("forget", "--list")
    assert read_only_repo.json("stats")["shown"] == 0


def test_writing_commands_are_refused_with_a_remedy(read_only_repo):
    remedy = f"chmod -R u+w '{read_only_repo.path}/.git/copilot'"
    text = assert_one_line(read_only_repo.run("index", "--rebuild"), 1)
    assert "damaged" not in text
    # There is nothing to write where nothing has changed, but asked for is asked for.
    assert_one_line(read_only_repo.run("index"), 1, "is read-only", remedy)
    done = read_only_repo.run("feedback", "cmpl-0", "accepted")
    assert done.returncode == 0 and b"not recorded" in done.stderr


def test_doctor_reports_the_read_only_database_with_a_remedy(read_only_repo):
    code, found = findings(read_only_repo)
    assert code == 0
    database = found["database"]
    assert database["level"] == "warn" and "read-only" in database["message"]
    assert database["mend"] == f"chmod -R u+w '{read_only_repo.path}/.git/copilot'"
    assert "damaged" not in json.dumps(found) and found["spool"]["level"] == "warn"


def test_an_outdated_index_is_used_and_reported_as_outdated(copilot, project):
    copilot.run("uninstall")
    project.commit({"src/later.py": "def gamma(value):\n    return value\n"})
    set_writable(project.path, False)
    try:
        done = Restricted(project.path).run("search", "alpha", "--json")
    finally:
        set_writable(project.path, True)
    found = json.loads(done.stdout)
    assert found["hits"][0]["path"] == "src/util.py" and found["index"]["fresh"] is False
    assert b"behind HEAD" in done.stderr and done.stderr.count(b"\n") == 1


def test_a_read_only_repository_without_init_is_a_one_line_error(project):
    commands = Restricted(project.path)
    set_writable(project.path, False)
    try:
        assert_one_line(commands.run("search", "x"), 1, "git copilot init")
        assert_one_line(commands.run("init"), 1)
    finally:
        set_writable(project.path, True)


def test_writes_of_the_owner_are_seen_by_readers(copilot, project):
    state = project.path / ".git/copilot"
    with Database(state / DATABASE_NAME) as db:
        with db.transaction() as connection:
            connection.execute("INSERT INTO forgotten VALUES ('path', 'docs', 1)")
        assert (state / f"{DATABASE_NAME}-wal").stat().st_size  # stands in the journal only
        set_writable(state, False)
        try:
            assert b"docs" in Restricted(project.path).run("forget", "--list").stdout
        finally:
            set_writable(state, True)


def test_a_snapshot_of_a_repository_in_use_is_read_with_its_journal(copilot, project, tmp_path):
    """A backup made while its owner wrote: a journal that nobody has put into the file."""
    state = project.path / ".git/copilot"
    with Database(state / DATABASE_NAME) as db:
        with db.transaction() as connection:
            connection.execute("INSERT INTO forgotten VALUES ('path', 'docs', 1)")
        shutil.copytree(project.path, tmp_path / "backup", symlinks=True)
    backup = tmp_path / "backup/.git/copilot"
    (backup / f"{DATABASE_NAME}-shm").unlink()
    trust_repository(backup, adopt=True)
    set_writable(backup, False)
    done = Restricted(tmp_path / "backup").run("forget", "--list")
    set_writable(backup, True)
    assert b"docs" in done.stdout
    assert not (backup / f"{DATABASE_NAME}-shm").exists()


LOOK = """
import sqlite3, sys
from pathlib import Path
from git_copilot.index.store.database import Database
from git_copilot.index.core.errors import ReadOnlyDatabase
path = Path(sys.argv[1])
with Database(path) as db:
    before = db.sees_all_writes
    try:
        with db.transaction():
            print("written")
    except ReadOnlyDatabase:
        print("refused")
    # Somebody else, who may.
    path.parent.chmod(0o755)
    path.chmod(0o644)
    other = sqlite3.connect(path)
    other.execute("INSERT INTO forgotten VALUES ('path', 'x', 1)")
    other.commit()
    print(before, db.sees_all_writes)
"""


def test_a_read_only_connection_detects_that_it_is_outdated(tmp_path):
    path = tmp_path / "state" / DATABASE_NAME
    path.parent.mkdir()
    Database(path, create=True).close()
    set_writable(path.parent, False)
    done = run_restricted(sys.executable, "-c", LOOK, str(path), cwd=tmp_path)
    assert done.stdout.split() == [b"refused", b"True", b"False"], done.stderr


MOUNTED = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" && exec "$@"'


def test_commands_work_on_a_read_only_file_system(copilot, project):
    if not mounts():
        pytest.skip("no file system can be mounted here")
    project.git("config", "copilot.server", "false")

    def run(*args):
        return subprocess.run(
            ["unshare", "-rm", "sh", "-c", MOUNTED, str(project.path), "git", "copilot", *args],
            capture_output=True, timeout=120, env={**os.environ, "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
        )  # fmt: skip

    assert b"src/util.py" in run("search", "alpha").stdout
    assert json.loads(run("status", "--json").stdout)["index"]["files"] == 3
    told = {f["check"]: f for f in json.loads(run("doctor", "--json").stdout)}
    assert "read-only file system" in told["database"]["message"]
    assert "mount" in told["database"]["mend"] and Path(project.path).is_dir()
    assert_one_line(run("forget", "--path", "src/util.py"), 1)
