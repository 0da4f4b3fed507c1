"""`.gitattributes` and `.copilotignore` are read from the tree, as git reads them."""

from __future__ import annotations

import pytest

from git_copilot.index.filters import rules
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.plan import plan_sync
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder

FILES = {
    "a.py": "def alpha():\n    return 1\n",
    "gen/made.py": "def made():\n    return 1\n",
    "gen/kept.py": "def kept():\n    return 1\n",
    "lib/b.py": "def beta():\n    return 1\n",
    "lib/deep/c.py": "def gamma():\n    return 1\n",
    "vendor/ours.py": "def ours():\n    return 1\n",
    "vendor/theirs.py": "def theirs():\n    return 1\n",
    "odd [x]/:(top)é.py": "def odd():\n    return 1\n",
}


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        yield db


def out(repo, tree="HEAD"):
    git = GitRepository.discover(repo.path)
    return rules.exclusion_reasons(git, tree, [e.path for e in git.ls_tree(tree)])


def shown(db, view=""):
    return sorted(p for p in views.view_paths(db, view) if p.endswith(".py"))


def test_without_rule_files_file_names_decide(repo):
    repo.commit(FILES)
    assert out(repo) == {"vendor/ours.py": "vendored", "vendor/theirs.py": "vendored"}


def test_every_attribute_and_its_negation_are_obeyed(repo):
    repo.commit(
        {
            **FILES,
            ".gitattributes": (
                "[attr]machine linguist-generated\n"
                "gen/* machine\n/gen/kept.py -linguist-generated\n"
                "vendor/ours.py copilot\nlib/** linguist-vendored=true\n"
                '"odd [[]x]/*" copilot=false\n'
            ),
            "lib/deep/.gitattributes": "c.py -linguist-vendored binary\n",
        }
    )
    assert out(repo) == {
        "gen/made.py": "generated",
        "lib/b.py": "vendored",
        "lib/deep/.gitattributes": "vendored",
        "lib/deep/c.py": "binary",
        "odd [x]/:(top)é.py": "attribute",
        "vendor/theirs.py": "vendored",
    }


def test_copilotignore_is_read_like_gitignore(repo):
    repo.commit(
        {
            **FILES,
            ".copilotignore": "gen/\n!gen/kept.py\n*.md\n/lib/*\n!/lib/deep\n:(top)é.py\n",
            "lib/deep/.copilotignore": "c.py\n",
            "x/notes.md": "words\n",
        }
    )
    found = out(repo)
    assert {path for path, reason in found.items() if reason == "ignored"} == {
        "gen/made.py", "gen/kept.py", "lib/b.py", "lib/deep/c.py", "odd [x]/:(top)é.py",
        "x/notes.md",
    }  # fmt: skip


def test_attributes_match_as_git_check_attr_does(repo):
    """git is asked in the working tree, with the same patterns."""
    patterns = ("*.py a", "/a.py", "lib/", "lib/*", "lib/**", "**/deep/*", "odd*/*", "?.py", "gen")
    repo.commit(FILES)
    for pattern in patterns:
        repo.commit({".gitattributes": f"{pattern.split()[0]} -copilot\n"})
        said = repo.git("check-attr", "-z", "copilot", "--", *FILES).split("\0")
        wanted = {p for p, v in zip(said[0::3], said[2::3], strict=False) if v == "unset"}
        assert {p for p, reason in out(repo).items() if reason == "attribute"} == wanted, pattern


def test_rules_come_from_the_tree_only(repo, monkeypatch, hermetic):
    repo.commit({**FILES, ".gitattributes": "a.py -copilot\n"})
    old = repo.git("rev-parse", "HEAD^{tree}")
    repo.commit({".gitattributes": "lib/b.py -copilot\n"})
    repo.write({".gitattributes": "gen/* -copilot\n", ".copilotignore": "*\n"})
    (hermetic / ".config" / "git").mkdir(parents=True)
    (hermetic / ".config" / "git" / "attributes").write_text("* -copilot\n")
    only = {path for path, reason in out(repo).items() if reason == "attribute"}
    assert only == {"lib/b.py"}
    assert out(repo, old)["a.py"] == "attribute"


def test_info_attributes_are_obeyed_and_changes_noticed(repo, database):
    repo.commit(FILES)
    git = GitRepository.discover(repo.path)
    sync(git, database, None)
    assert "a.py" in shown(database)
    info = repo.git_dir / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text("a.py -copilot\n")
    sync(git, database, None)
    assert "a.py" not in shown(database)
    (info / "attributes").unlink()
    sync(git, database, None)
    assert "a.py" in shown(database)


def test_a_rule_change_rejudges_only_the_files_it_concerns(repo, database):
    repo.commit(FILES)
    git = GitRepository.discover(repo.path)
    embedder = HashingEmbedder()
    sync(git, database, embedder)
    encoded = len(embedder.encoded)
    repo.commit({"lib/.gitattributes": "*.py -copilot\n"})
    plan = plan_sync(git, database, "", git.head_tree_or_empty())
    assert set(plan.removed) == {"lib/b.py", "lib/deep/c.py"}
    assert [e.path for e in plan.added] == ["lib/.gitattributes"]
    sync(git, database, embedder)
    assert "lib/b.py" not in shown(database)
    repo.commit({"lib/.gitattributes": "c.py -copilot\n", "lib/b.py": "def new():\n    pass\n"})
    sync(git, database, embedder)
    assert shown(database) == [
        "a.py",
        "gen/kept.py",
        "gen/made.py",
        "lib/b.py",
        "odd [x]/:(top)é.py",
    ]
    repo.git("rm", "-q", "lib/.gitattributes")
    repo.commit({})
    sync(git, database, embedder)
    assert "lib/deep/c.py" in shown(database)
    assert len(embedder.encoded) == encoded + 3  # two rule files as text, and the new content


def test_files_added_under_existing_rules_obey_them(repo, database):
    repo.commit({**FILES, ".copilotignore": "lib\n"})
    git = GitRepository.discover(repo.path)
    sync(git, database, None)
    repo.commit({"lib/b.py": "def other():\n    return 2\n", "lib/new.py": "x = 1\n"})
    sync(git, database, None)
    assert not [path for path in shown(database) if path.startswith("lib")]
    repo.git("mv", "lib/b.py", "b.py")
    repo.commit({})
    sync(git, database, None)
    assert "b.py" in shown(database)


def test_many_changes_are_judged_like_few(repo, database):
    repo.commit({"m/.gitattributes": "s*.py -copilot\n", "a.py": "x = 1\n"})
    git = GitRepository.discover(repo.path)
    sync(git, database, None)
    many = {f"m/{kind}{i}.py": f"{kind} = {i}\n" for i in range(300) for kind in "st"}
    repo.commit(many)
    assert len(many) > rules.MAX_ASKED
    sync(git, database, None)
    assert shown(database) == sorted(["a.py", *(p for p in many if p.startswith("m/t"))])


def test_a_tree_with_parent_folder_names_writes_nothing_outside(repo, tmp_path):
    """git refuses to check out a tree with an entry `..`, and so do we."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin="* -copilot\n")
    tree = repo.git("mktree", stdin=f"100644 blob {blob}\t.gitattributes\n")
    for _ in range(8):
        tree = repo.git("mktree", stdin=f"040000 tree {tree}\t..\n")
    git = GitRepository.discover(repo.path)
    entries = git.ls_tree(tree)
    assert entries[0].path == "../" * 8 + ".gitattributes"
    assert rules.exclusion_reasons(git, tree, ["a.py"], entries) == {}
