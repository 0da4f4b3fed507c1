"""Rule files are judged as git judges them in a checkout, and trees that cannot be checked out do
no harm."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_copilot.index.filters import rules
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder
from tests.support.gitrepo import GitRepo

NAMES = ("a.py", "b.md", "*", "[a].py", "ä b", "!x", "#y", ".gitignore", "lib", "gen", "Lib")
FOLDERS = ("", "lib/", "lib/deep/", "gen/", "g [x]/")
PATTERNS = (
    "*.py", "a.py", "/a.py", "lib", "lib/", "/lib/*", "lib/**", "**/deep", "!a.py", "!lib/deep/",
    "*", "!*/", "\\*", "[ab].*", "g\\ [[]x]/", ".gitignore", "\\!x", "\\#y", "?b", "deep/*.md", "L*",
)  # fmt: skip
SAYINGS = ("-copilot", "copilot", "binary", "linguist-generated", "!copilot", "own", "-own")
folders, names = st.sampled_from(FOLDERS), st.sampled_from(NAMES)
ignore = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=5).map("\n".join)
attribute_lines = st.tuples(
    st.sampled_from([p for p in PATTERNS if not p.startswith("!") and " " not in p]),
    st.sampled_from(SAYINGS),
)
attributes = st.lists(attribute_lines.map(" ".join), min_size=1, max_size=5).map("\n".join)


def git(folder, *args, feed=b""):
    done = subprocess.run(["git", *args], cwd=folder, input=feed, capture_output=True)
    assert done.returncode in (0, 1), done.stderr
    return [os.fsdecode(hole_tracker) for hole_tracker in done.stdout.split(b"\0")]


def write(root, path, text):
    target = root / path
    if any(path.is_file() for path in target.parents):
        return  # no checkout has both
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def said_of_a_checkout(repo, tmp_path, paths):
    """git's verdict on the checked-out files, with `.copilotignore` renamed to `.gitignore`."""
    feed = b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)
    asked = ("copilot", "linguist-generated", "binary")
    said = git(repo.path, "check-attr", "-z", "--stdin", *asked, feed=feed)
    given = {}
    for path, name, value in zip(said[0::3], said[1::3], said[2::3], strict=False):
        given.setdefault(path[2:], {})[name] = value
    copy = GitRepo.init(tmp_path)
    for path in paths:
        if path.endswith(rules.IGNORE):
            renamed = path.removesuffix(rules.IGNORE) + ".gitignore"
            write(tmp_path, renamed, (repo.path / path).read_text())
    found = git(copy.path, "check-ignore", "--no-index", "-z", "--stdin", feed=feed)
    return given, {path[2:] for path in found}


def judged(given, ignored):
    """Our verdict in the same words."""
    if given["copilot"] == "unset":
        return "attribute"
    if given["binary"] == "set":
        return "binary"
    if given["copilot"] != "set" and given["linguist-generated"] == "set":
        return "generated"
    return "ignored" if ignored else None


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    files=st.lists(st.tuples(folders, names), min_size=1, max_size=8),
    ignores=st.dictionaries(folders, ignore, max_size=3),
    says=st.dictionaries(folders, attributes, max_size=3),
)
def test_any_rule_files_match_as_git_does_in_a_checkout(tmp_path_factory, files, ignores, says):
    root = tmp_path_factory.mktemp("random")
    repo = GitRepo.init(root / "repo")
    for folder, name in files:
        if not (repo.path / folder / name).is_dir():
            write(repo.path, f"{folder}{'x' if name == 'lib' and not folder else name}", "text\n")
    for folder, text in ignores.items():
        write(repo.path, f"{folder}.copilotignore", f"{text}\n")
    for folder, text in says.items():
        write(repo.path, f"{folder}.gitattributes", f"[attr]own -copilot\n{text}\n")
    repo.git("add", "-fA")
    repo.git("commit", "-qm", "x")
    known = GitRepository.discover(repo.path)
    paths = [entry.path for entry in known.ls_tree("HEAD")]
    given, ignored = said_of_a_checkout(repo, root / "copy", paths)
    wanted = {path: judged(given[path], path in ignored) for path in paths}
    found = rules.exclusion_reasons(known, "HEAD", paths)
    assert {path: found.get(path) for path in paths} == wanted
    # Few paths are judged without a look at the whole tree.
    for path in paths[:2]:
        assert rules.exclusion_reasons(known, "HEAD", [path]).get(path) == wanted[path]


def test_folders_named_like_rule_files_are_no_rules(repo):
    repo.commit(
        {
            ".copilotignore": "*.log\n.gitignore\n!.gitignore/keep/\n",
            ".gitignore/.gitattributes": "a.py -copilot\n",
            ".gitignore/a.py": "x = 1\n",
            "lib/.gitattributes/.copilotignore": "b.py\n",
            "lib/.gitattributes/b.py": "x = 2\n",
            "lib/.copilotignore/c.log": "words\n",
            "lib/d.py": "x = 3\n",
        }
    )
    known = GitRepository.discover(repo.path)
    paths = [entry.path for entry in known.ls_tree("HEAD")]
    assert rules.exclusion_reasons(known, "HEAD", paths) == {
        ".gitignore/.gitattributes": "ignored",
        ".gitignore/a.py": "attribute",
        "lib/.copilotignore/c.log": "ignored",
        "lib/.gitattributes/b.py": "ignored",
    }


def test_a_symlinked_rule_file_is_ignored(repo):
    repo.write({"rules": "*.py -copilot\n", "a.py": "x = 1\n"})
    (repo.path / ".gitattributes").symlink_to("rules")
    (repo.path / ".copilotignore").symlink_to("rules")
    repo.commit({})
    known = GitRepository.discover(repo.path)
    assert rules.exclusion_reasons(known, "HEAD", ["a.py", "rules", ".copilotignore"]) == {}


class Trees:
    """Makes tree objects that no checkout could have made."""

    def __init__(self, repo):
        self.repo = repo

    def blob(self, text):
        return self.repo.git("hash-object", "-w", "--stdin", stdin=text)

    def tree(self, *entries):
        """A tree of (name, object id, "40000" or "100644")."""
        raw = b"".join(
            f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid) for name, oid, mode in entries
        )
        done = subprocess.run(
            ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
            cwd=self.repo.path, input=raw, capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout.decode().strip()


@pytest.fixture
def trees(repo):
    return Trees(repo)


def hostile_trees(make):
    """By name: a tree with `a.py` and `b.py`, and which of the two the rules exclude."""
    code, rule = make.blob("def helper(x):\n    return x\n"), make.blob("b.py -copilot\n")
    ours = [("a.py", code, "100644"), ("b.py", code, "100644")]
    inner = make.tree((".gitattributes", rule, "100644"), ("b.py", code, "100644"))
    long = make.tree(("n" * 300, inner, "40000"), *ours)
    deep = inner
    for _ in range(25):
        deep = make.tree(("d" * 200, deep, "40000"))
    yield "a folder of 300 letters", long, set()
    yield "5,000 letters of folders", make.tree(("d", deep, "40000"), *ours), set()
    yield "..", make.tree(("..", inner, "40000"), *ours), set()
    yield ".git", make.tree((".GIT", inner, "40000"), (".git", inner, "40000"), *ours), set()
    yield "an absolute name", make.tree(("/etc", code, "100644"), *ours), set()
    both = ((".gitattributes", rule, "100644"), (".gitattributes", inner, "40000"))
    yield "file and folder", make.tree(*both, *ours), {"b.py"}
    yield "a file twice", make.tree((".gitattributes", rule, "100644"), *both, *ours), {"b.py"}
    slash = make.tree(("x/.gitattributes", rule, "100644"), ("x/b.py", code, "100644"), *ours)
    yield "a slash in a name", slash, set()


def test_trees_that_cannot_be_checked_out_are_indexed(repo, trees, tmp_path, monkeypatch):
    shelter = tmp_path / "temporary"
    shelter.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shelter))
    known = GitRepository.discover(repo.path)
    for name, tree, out in hostile_trees(trees):
        paths = [entry.path for entry in known.ls_tree(tree)]
        found = rules.exclusion_reasons(known, tree, paths)
        assert {path for path in ("a.py", "b.py") if path in found} == out, name
        unsafe = {path for path, reason in found.items() if reason == rules.UNSAFE}
        assert unsafe == {p for p in paths if p.startswith(("..", ".g", ".G", "/"))} - {
            ".gitattributes", ".gitattributes/.gitattributes", ".gitattributes/b.py",
        }, name  # fmt: skip
        below = [p for p in paths if p.endswith("b.py") and "/" in p and p not in unsafe]
        assert all(found.get(path) == "attribute" for path in below), name
        with Database(tmp_path / f"{len(name)}-{DATABASE_NAME}", create=True) as db:
            sync(known, db, HashingEmbedder(), tree=tree)
            assert "a.py" in views.view_paths(db, ""), name
            assert not unsafe.intersection(views.view_paths(db, "")), name
        assert list(tmp_path.rglob(".gitattributes")) == [], name
        assert list(shelter.iterdir()) == [], name


def test_a_path_longer_than_a_command_line_is_judged(repo, trees):
    """Command lines have a length limit; paths in a tree have none."""
    deep = trees.tree((".gitattributes", trees.blob("* -copilot\n"), "100644"))
    for _ in range(300):
        deep = trees.tree(("d" * 250, deep, "40000"))
    known = GitRepository.discover(repo.path)
    path = f"{'d' * 250}/" * 300 + "a.py"
    assert rules.exclusion_reasons(known, deep, [path, "a.py"]) == {path: "attribute"}
