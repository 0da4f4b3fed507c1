"""What a refresh makes can be shared: the checks refuse nothing of it."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.sharing.adapter_commits import FILES
from tests.support.gitrepo import GitRepo
from tests.support.refresh_fixtures import quick_recipe, run, tiny_model, write_history  # noqa: F401 - fixtures
from tests.support.shared_adapters import MODEL, Member, adapter_files

pytestmark = pytest.mark.slow


def test_an_adapter_of_a_refresh_is_pushed_and_pulled(opened_repo, tiny, remote, bob):
    repo, found, db = opened_repo
    write_history(repo, 12)
    adapter = run(found, db, tiny)["candidate"]
    repo.git("remote", "add", "origin", str(remote))
    ada = Member(GitRepo(repo.path))
    assert "not a name that other machines have" in ada.refused("push", "--id", adapter)
    # The tiny model has no name, only a folder.
    for name in (adapter_store.CONFIG, adapter_store.EVIDENCE):
        path = ada.folder(adapter) / name
        path.write_text(path.read_text("utf-8").replace(str(tiny), MODEL), "utf-8")
    ada.ok("push", "--id", adapter)
    assert bob.json("pull")["installed"] == [adapter]
    files = adapter_files(bob.folder(adapter))
    assert files == adapter_files(ada.folder(adapter)) and set(files) == set(FILES)
    assert adapter_store.adapter_path(bob.state, adapter)
