"""``adapter rm`` and ``uninstall --purge`` leave no ref behind, and say where copies stay."""

from __future__ import annotations

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.sharing.adapter_commits import drop_all_refs, list_refs
from tests.support.shared_adapters import add_adapter


def test_rm_drops_the_ref_and_names_the_remote(ada, bob):
    adapter = add_adapter(ada.state, 1)
    adapter_store.use(ada.state, adapter)
    ada.ok("push")
    ada.ok("fetch")
    _, out, err = ada.run("rm", adapter)
    assert out == f"deleted {adapter}, which was in use\n"
    assert f"{adapter} is also on origin, where it stays" in err
    assert [found.remote for found in list_refs(ada.git, "refs/copilot/adapters/")] == []
    bob.ok("pull")
    assert adapter_store.ids(bob.state) == [adapter]


def test_every_ref_of_ours_is_dropped_and_no_other(ada):
    for second in (1, 2):
        adapter_store.use(ada.state, add_adapter(ada.state, second))
        ada.ok("push")
    ada.ok("fetch")
    before = ada.repo.git("for-each-ref", "--format=%(refname)").split()
    others = [name for name in before if not name.startswith("refs/copilot/")]
    assert len(before) == len(others) + 4
    assert drop_all_refs(ada.git) == 4
    assert ada.repo.git("for-each-ref", "--format=%(refname)").split() == others
    assert drop_all_refs(ada.git) == 0
