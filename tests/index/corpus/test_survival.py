"""Holes are followed line by line to HEAD, through edits and renames."""

from __future__ import annotations

import pytest

from git_copilot.index.corpus.survival import Survival
from git_copilot.index.corpus.trace import covered_lines
from tests.support.gitrepo import EPOCH
from tests.support.hole_tracking import numbered_lines

TEN = numbered_lines(range(10))


def test_holes_shift_with_lines_added_and_removed_above(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    hole = hole_tracker.add_hole("a.py", "line 5")
    repo.commit({"a.py": "new\nlines\n" + TEN})
    repo.commit({"a.py": "new\nlines\n" + TEN.replace("line 0\n", "")})
    assert hole_tracker.fate(hole) == Survival(1.0, None, None)
    assert hole_tracker.places(hole) == {"a.py": [7]}
    repo.commit({"a.py": TEN.replace("line 5\n", "right above\nline 5\nright below\n")})
    assert hole_tracker.places(hole) == {"a.py": [7]}


@pytest.mark.parametrize("after", ["line 5 = 1", None], ids=["edited", "deleted"])
def test_an_edited_or_deleted_line_dies(repo, hole_tracker, after):
    repo.commit({"a.py": TEN})
    hole, above = hole_tracker.add_hole("a.py", "line 5"), hole_tracker.add_hole("a.py", "line 4")
    killer = repo.commit({"a.py": TEN.replace("line 5\n", f"{after}\n" if after else "")})
    repo.commit({"a.py": "more\n" + TEN})  # the same text again is no resurrection
    assert hole_tracker.fate(hole) == Survival(0.0, killer, EPOCH + 120)
    assert hole_tracker.fate(above) == Survival(1.0, None, None)
    assert hole_tracker.places(hole) == {}


def test_lines_restored_by_a_revert_do_not_revive_old_holes(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    repo.commit({"a.py": TEN + "added\n"})
    old = hole_tracker.add_hole("a.py", "added")
    repo.git("revert", "--no-edit", "HEAD")
    revert = repo.git("rev-parse", "HEAD")
    repo.git("revert", "--no-edit", "HEAD")
    new = hole_tracker.add_hole("a.py", "added")
    assert hole_tracker.fate(old).died_commit == revert
    assert hole_tracker.fate(new).stands == 1


def test_a_hole_survives_in_part_and_records_the_first_loss(repo, hole_tracker):
    repo.commit({"a.py": TEN})
    hole = hole_tracker.add_hole("a.py", "line 3\nline 4\nline 5\nline 6")
    first = repo.commit({"a.py": TEN.replace("line 5\n", "")})
    repo.commit({"a.py": TEN.replace("line 5\nline 6\n", "")})
    assert hole_tracker.fate(hole) == Survival(0.5, first, EPOCH + 120)
    assert hole_tracker.places(hole) == {"a.py": [4, 5, 0, 0]}


def test_holes_follow_renames_with_and_without_edits(repo, hole_tracker):
    repo.commit({"a.py": TEN, "src/b.py": TEN + "b\n"})
    exact, moved = (
        hole_tracker.add_hole("a.py", "line 5"),
        hole_tracker.add_hole("src/b.py", "line 5"),
    )
    gone = hole_tracker.add_hole("src/b.py", "line 7")
    repo.git("mv", "a.py", "z.py")
    repo.git("mv", "src", "lib")
    killer = repo.commit({"lib/b.py": "first\n" + TEN.replace("line 7\n", "")})
    repo.commit({"a.py": "another file\n"})
    assert hole_tracker.fate(exact).stands == hole_tracker.fate(moved).stands == 1
    assert hole_tracker.places(exact) == {"z.py": [6]}
    assert hole_tracker.places(moved) == {"lib/b.py": [7]}
    assert hole_tracker.fate(gone).died_commit == killer


def test_holes_follow_a_rename_when_another_file_takes_the_name(repo, hole_tracker):
    other = numbered_lines(range(50, 60))
    repo.commit({"a.py": TEN, "b.py": other})
    first, second = (
        hole_tracker.add_hole("a.py", "line 5"),
        hole_tracker.add_hole("b.py", "line 55"),
    )
    repo.git("mv", "a.py", "c.py")
    repo.commit({})
    repo.git("mv", "b.py", "a.py")
    repo.commit({"c.py": "top\n" + TEN})
    assert hole_tracker.places(first) == {"c.py": [7]}
    assert hole_tracker.places(second) == {"a.py": [6]}


def test_deleting_a_file_kills_its_holes(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": "b\n"})
    hole = hole_tracker.add_hole("a.py", "line 5")
    (repo.path / "a.py").unlink()
    killer = repo.commit({})
    assert hole_tracker.fate(hole) == Survival(0.0, killer, EPOCH + 120)


def test_changes_of_line_ends_and_indentation_are_no_rewrite(repo, hole_tracker):
    windows = TEN.replace("\n", "\r\n")
    repo.commit({"a.py": TEN, "w.py": windows})
    plain, crlf = (
        hole_tracker.add_hole("a.py", "line 5"),
        hole_tracker.add_hole("w.py", "line 5\r\nline 6"),
    )
    dead = hole_tracker.add_hole("w.py", "line 8")
    killer = repo.commit(
        {"a.py": windows, "w.py": "top\r\n" + windows.replace("line 8", "other 8")}
    )
    repo.commit({"a.py": windows.replace("line", "    line")})
    assert hole_tracker.fate(plain).stands == 1
    assert hole_tracker.places(crlf) == {"w.py": [7, 8]}
    assert hole_tracker.fate(dead).died_commit == killer


@pytest.mark.parametrize(
    "name",
    ["with space.py", "ünï/cødé.py", 'quo"te\\.py', "tab\tline\nend.py", "\udcff.py", " a b/b.py"],
)
def test_holes_are_followed_in_files_of_any_name(repo, hole_tracker, name):
    repo.commit({name: TEN})
    hole, dead = hole_tracker.add_hole(name, "line 5"), hole_tracker.add_hole(name, "line 7")
    killer = repo.commit({name: "top\n" + TEN.replace("line 7\n", "")})
    target = "moved " + name.replace("/", " ")
    (repo.path / name).rename(repo.path / target)
    repo.commit({target: "top\ntop\n" + TEN.replace("line 7\n", "")})
    assert hole_tracker.places(hole) == {target: [8]}
    assert hole_tracker.fate(dead).died_commit == killer


def test_mode_changes_keep_holes_and_type_changes_kill_them(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": TEN + "b\n", "c.py": TEN + "c\n"})
    (repo.path / "link").symlink_to("a.py")
    repo.commit({})
    mode, linked = (
        hole_tracker.add_hole("a.py", "line 5", "HEAD~1"),
        hole_tracker.add_hole("b.py", "line 5", "HEAD~1"),
    )
    folder = hole_tracker.add_hole("c.py", "line 5", "HEAD~1")
    (repo.path / "a.py").chmod(0o755)
    repo.commit({})
    for name in ("b.py", "c.py", "link"):
        (repo.path / name).unlink()
    (repo.path / "b.py").symlink_to("a.py")
    killer = repo.commit({"link": "now a file\nof two lines\n", "c.py/inner.py": "c\n"})
    filed = hole_tracker.add_hole("link", "of two lines")
    repo.commit({"link": "now a file\nand more\nof two lines\n"})
    assert hole_tracker.fate(mode).stands == 1
    assert hole_tracker.fate(linked).died_commit == hole_tracker.fate(folder).died_commit == killer
    assert hole_tracker.places(filed) == {"link": [3]}


def test_two_holes_on_one_line_share_its_fate_and_blank_lines_do_not_count(repo, hole_tracker):
    text = "def f(a, b):\n\n    return a\n\n"
    repo.commit({"a.py": text})
    holes = [hole_tracker.add_hole("a.py", part) for part in ("f(a", "b)", ":\n\n    return a\n")]
    killer = repo.commit({"a.py": text.replace("return a\n", "return b\n")})
    assert [hole_tracker.fate(h).stands for h in holes] == [1, 1, 0.5]
    assert hole_tracker.fate(holes[2]).died_commit == killer
    data = b"one\n  \ntwo three\n"
    assert covered_lines(data, 3, len(data)) == [3]
    assert covered_lines(data, 1, 10) == [1, 3]
    assert covered_lines(data, 3, 6) == []


def test_git_settings_and_attributes_do_not_affect_survival(repo, hole_tracker):
    repo.commit({"a.py": TEN, "b.py": TEN + "b\n"})
    holes = [hole_tracker.add_hole("a.py", "line 5"), hole_tracker.add_hole("b.py", "line 5")]
    repo.git("mv", "b.py", "c.py")
    repo.commit({"a.py": "top\n" + TEN, ".gitattributes": "*.py diff=python eol=crlf\n"})
    for key, value in {
        "diff.renames": "false", "diff.renameLimit": "1", "color.ui": "always",
        "diff.noprefix": "true", "diff.external": "false", "diff.context": "9",
        "diff.python.textconv": "false", "log.showSignature": "true", "core.quotePath": "false",
    }.items():  # fmt: skip
        repo.git("config", key, value)
    assert [hole_tracker.places(h) for h in holes] == [{"a.py": [7]}, {"c.py": [6]}]
