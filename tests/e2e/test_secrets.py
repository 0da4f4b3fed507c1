"""`git copilot secrets`, as a user sees it."""

from __future__ import annotations

import pytest

from tests.support.commands import assert_one_line

VALUE = "Tr0ub4dor" + "Quokka7"
LINE = f'password = "{VALUE}"\n'


@pytest.fixture
def repo_with_secrets(copilot, project):
    project.commit({"src/db.py": f"import os\n\n{LINE}", ".env": f"TOKEN={VALUE}\n"})
    copilot.ok("index")
    return project


def places(copilot, *args):
    return [(row["path"], row["line"]) for row in copilot.json("secrets", *args)["secrets"]]


def test_secret_places_are_listed_without_their_values(copilot, repo_with_secrets):
    shown = copilot.ok("secrets")
    assert 'src/db.py:3: Password: password = "***"\n' in shown and ".env: secret file\n" in shown
    assert VALUE not in shown + str(copilot.json("secrets"))
    assert places(copilot) == [(".env", 0), ("src/db.py", 3)]
    repo_with_secrets.write({"new.py": LINE})
    assert places(copilot, "--uncommitted") == [("new.py", 1)]


def test_a_line_can_be_allowed_and_forbidden_again(copilot, repo_with_secrets):
    done = copilot.json("secrets", "allow", "db.py:3", cwd=repo_with_secrets.path / "src")
    assert done == {"path": "src/db.py", "lines": 1, "files": 1}
    assert places(copilot) == [(".env", 0)]
    assert copilot.json("search", VALUE)["hits"][0]["path"] == "src/db.py"
    (entry,) = copilot.json("secrets", "--allowed")["allowed"]
    assert (entry["path"], entry["line"]) == ("src/db.py", 3)
    copilot.ok("index", "--rebuild")
    assert places(copilot) == [(".env", 0)]
    assert "excluded 1 line" in copilot.ok("secrets", "allow", "--undo", "src/db.py:3")
    assert places(copilot) == [(".env", 0), ("src/db.py", 3)]
    assert repo_with_secrets.git("status", "--porcelain") == ""


def test_wrong_arguments_are_one_line_errors(copilot, repo_with_secrets):
    assert_one_line(
        copilot.run("secrets", "allow", "src/db.py:1"), 1, "does not look like a secret"
    )
    assert_one_line(copilot.run("secrets", "allow", ".env"), 1, "left out whole", ".gitattributes")
    assert_one_line(
        copilot.run("secrets", "forbid", "src/db.py"), 1, "nothing is allowed", "--allowed"
    )
    assert_one_line(copilot.run("secrets", "allow", "../x"), 1, "is outside")
