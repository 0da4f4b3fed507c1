"""Source code that tests commit, and histories of it."""

from __future__ import annotations

from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.survival import update_survival
from tests.support.gitrepo import EPOCH

DAY = 86_400
# Put together here, so that no scanner takes this file for a leak.
KEY = "AKIA" + "Q7MD2XW4NB5TZKPH"


def function(name, lines=6):
    body = "".join(f"    {name}_{i} = combine(value, {name!r}, {i})\n" for i in range(lines))
    return f"def {name}(value):\n{body}    return value\n"


def dates_of_day(days):
    when = f"{EPOCH + days * DAY} +0000"
    return {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}


def newest_first(repo):
    return repo.git("rev-list", "--topo-order", "HEAD").split()


def commit_functions(repo, found, db, commits=14):
    """One function per commit, two days apart, in alternating languages by alternating authors."""
    for i in range(commits):
        name = "Bob" if i % 2 else "Ada"
        repo.commit(
            {f"src/m{i}.py": function(f"step_{i}"), f"src/m{i}.js": f"let a{i} = go({i}, a);\n"},
            GIT_AUTHOR_NAME=name, **dates_of_day(2 * i),
        )  # fmt: skip
    mine(found, db)
    update_survival(found, db)


def all_holes(repo, db):
    return load_holes(db, newest_first(repo))


def merge_a_side_branch(repo):
    """Commit a root, one commit on a branch and one on main, and merge the branch; those three."""
    root = repo.commit({"a.py": "a = 1\n"})
    repo.git("checkout", "-q", "-b", "side")
    side = repo.commit({"b.py": "b = 1\n"})
    repo.git("checkout", "-q", "main")
    main = repo.commit({"c.py": "c = 1\n"})
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    return root, side, main
