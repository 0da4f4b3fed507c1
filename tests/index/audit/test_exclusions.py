"""Exclusions from the index are explained for one path and counted for all."""

from __future__ import annotations

import os

import pytest

from git_copilot.index.audit import exclusions
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.overlay import chunk_uncommitted
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import PATH, ForgetRule, write_entries
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.classify import long_lines, skip_content
from tests.support.fakes import HashingEmbedder

TABLE = "TABLE = [" + ", ".join(map(str, range(40_000))) + "]\n"
LOGO = f"LOGO = '''{'QUJD' * 520}'''\n"
CODE = "\n\ndef behind(a):\n    return a\n"
FILES = {
    "a.py": "def alpha():\n    return 1\n",
    "logo.py": LOGO + CODE,
    "table.py": TABLE + CODE,
    "bundle.js": "/*! licence */\n" + "var a=1;" * 2000 + "\n//# sourceMappingURL=x\n",
    "rows.json": "[\n" + ("[" + "1," * 1500 + "0],\n") * 20 + "[]]\n",
    "big.py": "x = 1\n" * 100_000,
    "nul.py": b"x = 1\0\n",
    "__init__.py": "",
    "lfs.dat": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "vendor/v.py": "x = 1\n",
    "book.ipynb": "{}\n",
    "own/made.py": "x = 1\n",
    "own/hidden.py": "x = 1\n",
    "lost.py": "x = 1\n",
    "deep.js": ("(" * 60 + "\n") * 200,
    ".gitattributes": "own/made.py -copilot\n",
    ".copilotignore": "own/hidden.py\n",
    ".gitignore": "*.tmp\n",
}
REASONS = {
    "bundle.js": "long lines", "rows.json": "long lines", "big.py": "large", "nul.py": "binary",
    "__init__.py": "empty", "lfs.dat": "lfs", "vendor/v.py": "vendored", "lost.py": "forgotten",
    "book.ipynb": "generated", "own/made.py": "attribute", "own/hidden.py": "ignored",
    "link.py": "symbolic link", "own": "folder", "gone.py": "no such file",
    "scratch.tmp": "git-ignored", "../x.py": "no such file", "new.ipynb": "generated",
    "new_link.py": "symbolic link", "new.bin": "binary",
}  # fmt: skip


@pytest.fixture
def indexed_repo(repo, tmp_path):
    """(repository, database) of all kinds of files, the index level with HEAD."""
    repo.write(FILES)
    (repo.path / "link.py").symlink_to("a.py")
    repo.commit({})
    repo.write({"scratch.tmp": "x\n", "new.py": LOGO + CODE, "new.ipynb": "{}", "new.bin": b"\0"})
    (repo.path / "new_link.py").symlink_to("a.py")
    git = GitRepository.discover(repo.path)
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        write_entries(db, [ForgetRule(PATH, "lost.py", 1)])
        sync(git, db, HashingEmbedder())
        yield git, db


def test_every_path_has_a_verdict(indexed_repo):
    git, db = indexed_repo
    found = {path: exclusions.explain_path(git, db, path) for path in REASONS}
    assert {path: verdict.reason for path, verdict in found.items()} == REASONS
    for path, verdict in found.items():
        assert verdict.meaning and verdict.meaning != "a rule leaves it out"
        assert verdict.fields()["indexed"] is False
        assert verdict.committed is (path in FILES or path == "link.py")


def test_an_indexed_path_reports_its_chunks(indexed_repo):
    git, db = indexed_repo
    logo = exclusions.explain_path(git, db, "logo.py")
    assert (logo.reason, logo.committed, logo.long_lines) == (None, True, (1,))
    assert logo.chunks == 1 and "2,000 bytes (1)" in "\n".join(logo.lines())
    assert exclusions.explain_path(git, db, "new.py").long_lines == (1,)
    assert exclusions.explain_path(git, db, "new.py").committed is False
    assert exclusions.explain_path(git, db, "deep.js").by_lines is True
    assert exclusions.explain_path(git, db, "a.py").by_lines is False


def test_an_unknown_reason_is_shown_verbatim():
    said = exclusions.Verdict(".env", "moon phase", committed=True)
    assert said.lines() == [".env: excluded (moon phase): a rule excludes it"]


def test_following_a_remedy_includes_the_file(indexed_repo, repo):
    git, db = indexed_repo
    verdict = exclusions.explain_path(git, db, "vendor/v.py")
    assert verdict.remedy.startswith("add `vendor/v.py copilot` to .gitattributes")
    repo.commit({".gitattributes": "vendor/v.py copilot\n"})
    sync(git, db, HashingEmbedder())
    assert exclusions.explain_path(git, db, "vendor/v.py").reason is None
    assert exclusions.explain_path(git, db, "vendor/v.py").chunks == 1


def test_excluded_files_are_counted_by_rule(indexed_repo):
    git, db = indexed_repo
    assert exclusions.count_left_out(git, db, "") == {
        "long lines": 2, "symbolic link": 1, "generated": 1, "vendored": 1, "attribute": 1,
        "ignored": 1, "forgotten": 1, "large": 1, "binary": 1, "empty": 1, "lfs": 1,
    }  # fmt: skip
    assert exclusions.count_left_out(git, db, "no such view") == {}


def test_a_submodule_is_reported_as_one(indexed_repo, repo, tmp_path):
    git, db = indexed_repo
    oid = repo.git("rev-parse", "HEAD")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{oid},sub")
    repo.git("commit", "-qm", "sub")
    sync(git, db, None)
    assert exclusions.explain_path(git, db, "sub").reason == "submodule"
    assert exclusions.count_left_out(git, db, "")["submodule"] == 1


def test_paths_are_relative_to_the_current_folder(indexed_repo, repo):
    git, _ = indexed_repo
    assert (
        exclusions.repository_path(git, "made.py", str(repo.path.resolve() / "own"))
        == "own/made.py"
    )
    assert exclusions.repository_path(git, "../a.py", str(repo.path.resolve() / "own")) == "a.py"
    assert exclusions.repository_path(git, str(repo.path.resolve() / "a.py"), os.sep) == "a.py"


@pytest.mark.parametrize("name", ["logo.py", "table.py"])
def test_a_long_line_is_excluded_without_its_file(indexed_repo, name):
    _, db = indexed_repo
    texts = [
        str(text)
        for (text,) in db.query(
            "SELECT c.text FROM files f JOIN chunks c ON c.blob_id = f.blob_id WHERE f.path = ?",
            (os.fsencode(name),),
        )
    ]
    assert any("def behind(a):" in text for text in texts)
    assert max(map(len, texts)) < 100
    loose = chunk_uncommitted(name, FILES[name].encode())
    assert [chunk.text for chunk in loose.chunks] == texts
    assert views.view_counts(db, "", "x")["secrets"] == 0


def test_bundles_are_excluded_whatever_their_layout():
    long = b"var a=1;" * 300 + b"\n"
    bundles = (
        long,
        b"/*! jQuery v3 */\n" + long,
        b'"use strict";\n// x\n' + long + b"//# sourceMappingURL=a\n",
        (b"/***/ 'x':\n" + long) * 50,
        (b"INSERT INTO t VALUES\n" + long) * 50,
        b"x" * 1500 + b"\n" + b"y" * 1500 + b"\n",
    )
    assert {skip_content(data) for data in bundles} == {"long lines"}
    assert skip_content(long + b"a = 1\nb = 2\n") is None
    assert skip_content(long * 3 + b"a = 1\n" * 30) is None


def test_carriage_returns_end_lines_too():
    assert long_lines(b"x = 1\r" * 1000) == frozenset()
    assert long_lines(b"a\n" + b"x" * 2001 + b"\nb\n") == {2}
