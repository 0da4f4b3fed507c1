"""The explanation of a hole: each rule says whether it is trained on, and why."""

from __future__ import annotations

import json

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.cli.display import Look, explanation_lines
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.explain import explain_hole
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus.mining import mine
from tests.support.gitrepo import EPOCH
from tests.support.histories import DAY, KEY, all_holes, commit_functions, function
from tests.support.tiny_models import save_tiny


def says(explanation):
    return {rule.rule: (rule.says, rule.because) for rule in explanation.rules}


NO_MODEL = Settings(model="smollm2-135m")


def test_explain_lists_every_rule_for_a_hole_that_is_trained_on(opened_repo, tmp_path):
    repo, found, db = opened_repo
    commit_functions(repo, found, db, commits=20)
    last = all_holes(repo, db)[-1]
    folder = save_tiny(tmp_path / "tiny", fim=True)
    explanation = explain_hole(RepositoryContext(found, db, Settings(model=str(folder))), last.id)
    rules = says(explanation)
    assert {name: said for name, (said, _) in rules.items()} == dict.fromkeys(
        [
            "forgotten",
            "left out",
            "secret",
            "weight",
            "history",
            "held out",
            "newest",
            "duplicate",
            "size",
        ],
        "for",
    )
    assert explanation.taken
    fields = explanation.fields()
    assert fields["commit"] == last.commit and fields["blob"] == last.blob
    assert fields["subject"] == "change" and fields["adapters"] == []
    assert fields["survival"]["fate"] == "stands"
    assert fields["survival"]["head"] == repo.git("rev-parse", "HEAD")
    tokens = int(rules["size"][1].split()[0])
    assert 10 < tokens < 600 and "takes 2048" in rules["size"][1]
    text = "\n".join(explanation_lines(Look(), explanation))
    assert "every line of it stands at HEAD" in text and "a refresh now would learn from it" in text
    json.dumps(fields)


def test_a_held_out_hole_is_explained_as_not_trained_on(opened_repo):
    repo, found, db = opened_repo
    commit_functions(repo, found, db, commits=20)
    first = all_holes(repo, db)[0]
    explanation = explain_hole(RepositoryContext(found, db, NO_MODEL), first.id)
    assert says(explanation)["held out"][0] == "against" and not explanation.taken
    assert says(explanation)["size"] == ("unknown", "the model smollm2-135m is not here to count"
                                         " tokens")  # fmt: skip
    assert "would leave it out" in explanation_lines(Look(), explanation)[-1]


def test_with_too_few_holes_the_held_out_set_is_unknown(opened_repo):
    repo, found, db = opened_repo
    commit_functions(repo, found, db, commits=2)
    rules = says(explain_hole(RepositoryContext(found, db, NO_MODEL), all_holes(repo, db)[0].id))
    assert rules["held out"][0] == "unknown" and "holes" in rules["held out"][1]


def add_hole(db, commit, blob, path, start, end):
    with db.transaction() as connection:
        return connection.execute(
            "INSERT INTO holes (commit_oid, blob, path, language, start_byte, end_byte, kind)"
            " VALUES (?, ?, ?, 'python', ?, ?, 'line')",
            (commit, blob, path.encode(), start, end),
        ).lastrowid


def copy_hole(db, commit, hole):
    """The id of the one hole that a commit has from now on: a copy of another commit's, in
    src/first.py."""
    with db.transaction() as connection:
        connection.execute("DELETE FROM holes WHERE commit_oid = ?", (commit,))
    return add_hole(db, commit, hole.blob, "src/first.py", hole.start, hole.end)


def test_a_duplicate_names_the_newer_hole_that_is_kept(opened_repo):
    repo, found, db = opened_repo
    oid = repo.commit({"src/first.py": function("same")})
    repo.commit({"src/second.py": function("same")})
    commit_functions(repo, found, db, commits=20)
    newer = next(h for h in all_holes(repo, db) if h.path == "src/second.py")
    older = copy_hole(db, oid, newer)
    assert (
        says(explain_hole(RepositoryContext(found, db, NO_MODEL), newer.id))["duplicate"][0]
        == "for"
    )
    said, because = says(explain_hole(RepositoryContext(found, db, NO_MODEL), older))["duplicate"]
    assert (said, because) == ("against", f"a near duplicate of hole {newer.id}, which is newer")


def test_a_copy_of_a_held_out_hole_names_that_hole(opened_repo):
    repo, found, db = opened_repo
    oid = repo.commit({"src/first.py": function("step_19")})
    commit_functions(repo, found, db, commits=20)
    judge = next(h for h in all_holes(repo, db) if h.path == "src/m19.py")
    older = copy_hole(db, oid, judge)
    assert (
        says(explain_hole(RepositoryContext(found, db, NO_MODEL), judge.id))["held out"][0]
        == "against"
    )
    said, because = says(explain_hole(RepositoryContext(found, db, NO_MODEL), older))["copy"]
    assert said == "against" and because.startswith(f"a copy of hole {judge.id},")


def test_a_deleted_hole_names_the_commit_and_date_of_the_deletion(opened_repo):
    repo, found, db = opened_repo
    repo.commit({"src/gone.py": function("gone")})
    repo.git("rm", "-q", "src/gone.py")
    when = f"{EPOCH + 3 * DAY + 60} +0000"
    oid = repo.commit({}, "Drop \x1b[31mit", GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when)
    commit_functions(repo, found, db, commits=20)
    first = next(h for h in all_holes(repo, db) if h.path == "src/gone.py")
    explanation = explain_hole(RepositoryContext(found, db, NO_MODEL), first.id)
    survival = explanation.facts["survival"]
    assert (survival["fate"], survival["stands"], survival["days"]) == ("rewritten", 0.0, 3.0)
    assert (survival["died_commit"], survival["died_subject"]) == (oid, "Drop \x1b[31mit")
    assert says(explanation)["weight"][0] == "against" and not explanation.taken
    line = next(x for x in explanation_lines(Look(), explanation) if x.startswith("survival"))
    assert line == (
        f"survival  rewritten after 3 days by {oid[:10]} (Drop ^[[31mit); "
        "0% of its lines stand at HEAD"
    )


def test_secrets_forgotten_paths_and_other_branches_count_against_a_hole(opened_repo):
    repo, found, db = opened_repo
    commit_functions(repo, found, db, commits=20)
    repo.git("checkout", "-q", "--orphan", "other")
    repo.git("rm", "-rfq", ".")
    repo.commit({"src/key.py": f"def connect():\n    return open_session(name, '{KEY}', 1)\n"})
    mine(found, db)
    repo.git("checkout", "-q", "main")
    data = f"def connect():\n    return open_session(name, '{KEY}', 1)\n".encode()
    with db.transaction() as connection:
        connection.execute("INSERT INTO forgotten VALUES ('path', 'src/key.py', 0)")
    number = add_hole(
        db,
        repo.git("rev-parse", "other"),
        repo.git("rev-parse", "other:src/key.py"),
        "src/key.py",
        data.index(b"open_session"),
        len(data) - 1,
    )
    explanation = explain_hole(RepositoryContext(found, db, NO_MODEL), number)
    rules = says(explanation)
    assert [rules[name][0] for name in ("secret", "forgotten", "history")] == ["against"] * 3
    assert rules["secret"][1] == "line 2 looks like a secret"
    assert KEY not in json.dumps(explanation.fields())
    assert explanation.facts["survival"]["fate"] == "unknown"


def test_adapters_trained_on_the_commit_are_named(opened_repo):
    repo, found, db = opened_repo
    commit_functions(repo, found, db, commits=3)
    first, *_, last = all_holes(repo, db)
    folder = adapter_store.adapters_dir(found.state_dir) / "20261121-034512-ab12"
    folder.mkdir(parents=True)
    (folder / adapter_store.COMMITS).write_text(f"{last.commit}\n")
    assert explain_hole(RepositoryContext(found, db, NO_MODEL), last.id).facts["adapters"] == [
        folder.name
    ]
    explanation = explain_hole(RepositoryContext(found, db, NO_MODEL), first.id)
    assert explanation.facts["adapters"] == []


@pytest.mark.parametrize("number", [0, 10**9, 2**63, 10**30])
def test_an_unknown_hole_id_is_a_one_line_error(opened_repo, number):
    _, found, db = opened_repo
    with pytest.raises(CopilotError, match=f"no hole {number}"):
        explain_hole(RepositoryContext(found, db, Settings()), number)
