"""Diffs of commits, as read from git's plumbing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index.core.errors import GitError
from git_copilot.index.corpus.lineage import TrackedLines, apply_patch
from git_copilot.index.git.history import FilePatch, additions, patches, patches_between
from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import GitRepo
from tests.support.hole_tracking import numbered_lines

TEN = numbered_lines(range(10))


def read(repo: GitRepo, *requests: str, options: tuple[str, ...] = ()) -> list[list[FilePatch]]:
    git = GitRepository.discover(repo.path)
    return [found for _, found in patches(git, requests, *options)]


def test_every_kind_of_change_is_read(repo):
    repo.commit(
        {"a.py": TEN, "b.py": TEN + "b\n", "gone.py": "gone\n", "mode.py": "m\n", "bin": b"\0"}
    )
    (repo.path / "gone.py").unlink()
    (repo.path / "mode.py").chmod(0o755)
    repo.git("mv", "b.py", "ü b.py")
    changed = TEN.replace("line 2\nline 3\n", "two\n").replace("line 9\n", "line 9\nend\n")
    oid = repo.commit({"a.py": changed, "bin": b"\1\0", "ü b.py": "top\n" + TEN + "b\n"})
    (found,) = read(repo, oid, options=("-M",))
    by_path = {patch.path: patch for patch in found}
    assert list(by_path) == ["a.py", "bin", "gone.py", "mode.py", "ü b.py"]
    assert by_path["a.py"].hunks == [(3, 2, 3, 1), (10, 0, 10, 1)]
    assert by_path["a.py"].blob == repo.git("rev-parse", f"{oid}:a.py")
    assert by_path["a.py"].old_blob == repo.git("rev-parse", f"{oid}~:a.py")
    assert by_path["bin"].opaque
    assert by_path["gone.py"].deleted
    assert (by_path["mode.py"].mode, by_path["mode.py"].blob) == ("100755", "")
    assert (by_path["ü b.py"].old_path, by_path["ü b.py"].hunks) == ("b.py", [(0, 0, 1, 1)])
    assert not any(patch.created for patch in found)


def test_a_link_replaced_by_a_file_is_a_deletion_and_an_addition(repo):
    (repo.path / "x").symlink_to("y")
    repo.commit({})
    (repo.path / "x").unlink()
    (found,) = read(repo, repo.commit({"x": "a file\n"}))
    assert [(p.path, p.deleted, p.created) for p in found] == [
        ("x", True, False),
        ("x", False, True),
    ]


def test_empty_commits_and_merges_have_an_entry_too(repo):
    root = repo.commit({"a.py": TEN})
    empty = repo.commit({})
    repo.git("checkout", "-q", "-b", "side")
    side = repo.commit({"a.py": "top\n" + TEN})
    repo.git("checkout", "-q", "main")
    main = repo.commit({"a.py": TEN + "end\n"})
    repo.git("merge", "-q", "--no-edit", "side")
    merge = repo.git("rev-parse", "HEAD")
    found = read(repo, root, empty, merge, f"{merge} {main}", f"{merge} {side}")
    assert [[p.hunks for p in ps] for ps in found] == [
        [[(0, 0, 1, 10)]],
        [],
        [],
        [[(0, 0, 1, 1)]],
        [[(11, 0, 12, 1)]],
    ]
    assert found[0][0].created


def test_lines_that_look_like_diff_headers_are_content(repo):
    repo.commit({"a.py": "x\n"})
    evil = "@@ -1 +1 @@\ndiff --git a/z b/z\n" + "1" * 40 + "\nrename to q\n-- a/a.py\n++ b/b.py\n"
    oid = repo.commit({"a.py": f"x\n{evil}no end"})
    back = repo.commit({"a.py": "x\n"})
    assert [[(p.path, p.hunks) for p in ps] for ps in read(repo, oid, back)] == [
        [("a.py", [(1, 0, 2, 7)])],
        [("a.py", [(2, 7, 1, 0)])],
    ]


def test_a_missing_object_ends_the_stream_after_what_came_before(repo):
    repo.commit({"a.py": TEN})
    first, second, third = (repo.commit({"a.py": TEN + f"{i}\n"}) for i in range(3))
    blob = repo.git("rev-parse", f"{second}:a.py")
    (repo.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    git = GitRepository.discover(repo.path)
    stream = patches(git, [first, second, third])
    assert next(stream)[0] == first
    with pytest.raises(GitError):
        next(stream)
    with pytest.raises(GitError):
        patches_between(git, first, second, ["a.py"])
    assert patches_between(git, first, second, ["nothing.py"]) == []


def test_only_the_requested_paths_are_compared_whatever_their_names(repo):
    names = ["*.py", "a.py", ":(top)b.py", "folder/c.py"]
    old = repo.commit(dict.fromkeys(names, TEN))
    new = repo.commit(dict.fromkeys(names, "top\n" + TEN))
    git = GitRepository.discover(repo.path)
    for wanted in (names[:1], names[1:3], names):
        found = patches_between(git, old, new, wanted)
        assert sorted(p.path for p in found) == sorted(wanted)


def test_additions_are_the_added_lines_only(repo):
    repo.commit({"a.py": TEN, "b.py": "b\n"})
    repo.git("rm", "-q", "b.py")
    oid = repo.commit({"a.py": "top\n" + TEN.replace("line 4\nline 5\n", "") + "end\nend\n"})
    git = GitRepository.discover(repo.path)
    ((commit, files),) = additions(git, [oid, repo.commit({})])
    assert commit == oid
    assert [(f.path, f.runs) for f in files] == [("a.py", [(1, 1), (10, 2)]), ("b.py", [])]


LINES = st.lists(
    st.sampled_from(["a", "b", "c = 1", "", "  d", "+x", "-y", "\\", "@@"]), max_size=14
)
EDITS = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 2), LINES), max_size=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return GitRepo.init(tmp_path_factory.mktemp("store"))


def tree_of(store: GitRepo, lines: list[str]) -> str:
    blob = store.git("hash-object", "-w", "--stdin", stdin="\n".join(lines))
    return store.git("mktree", stdin=f"100644 blob {blob}\ta.py\n")


@settings(max_examples=40, deadline=None)
@given(LINES, EDITS)
def test_exactly_the_unchanged_lines_are_carried_over_a_diff(store, old, edits):
    new = list(old)
    for at, gone, come in edits:
        new[at : at + gone] = come[:3]
    # The last line has no newline, unless it is empty: then the file ends with one.
    git = GitRepository.discover(store.path)
    found = patches_between(git, tree_of(store, old), tree_of(store, new), ())
    if "\n".join(old) == "\n".join(new):
        assert found == []
        return
    (patch,) = found
    numbers = list(range(1, len(old) + 1 - (old[-1:] == [""] and len(old) > 0)))
    after, dead = apply_patch(TrackedLines("", numbers, numbers), patch)
    assert sorted(after.marks + dead) == numbers
    assert after.lines == sorted(set(after.lines))
    assert [old[mark - 1] for mark in after.marks] == [new[line - 1] for line in after.lines]
    added = {n for _, _, first, count in patch.hunks for n in range(first, first + count)}
    count = len(new) - (new[-1:] == [""])
    assert added | set(after.lines) == set(range(1, count + 1))
    assert not added & set(after.lines)
