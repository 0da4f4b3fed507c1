"""Signed adapters are installed where git accepts the key; unsigned ones only on request."""

from __future__ import annotations

import os

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.core.config import load_settings
from tests.support.gitrepo import GitRepo
from tests.support.shared_adapters import (
    adapter_files,
    add_adapter,
    configure_ssh,
    craft,
    member,
)


@pytest.fixture(name="cara")
def member_with_defaults(tmp_path, remote):
    """Has set nothing about trust."""
    return member(tmp_path, "cara", remote)


def push(ada, *options):
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter, *options)
    return adapter


def test_an_adapter_signed_with_an_allowed_key_is_installed(ada, cara, ssh_keys):
    key, _, allowed = ssh_keys
    configure_ssh(ada.repo, key)
    configure_ssh(cara.repo, key, allowed=allowed)
    adapter = push(ada, "--sign")
    assert cara.json("fetch")[0]["signer"] == "ada@example.org"
    assert cara.json("pull")["used"] == adapter


def test_an_unsigned_adapter_is_refused_by_default_and_installed_on_request(ada, cara):
    adapter = push(ada)
    told = cara.refused("pull")
    assert f"the adapter {adapter} is refused: it is not signed" in told
    assert "git config copilot.adapterTrust any" in told and cara.installed() == []
    cara.repo.git("config", "copilot.adapterTrust", "any")
    assert cara.json("pull")["used"] == adapter


def test_a_committed_file_cannot_accept_unsigned_adapters(ada, cara):
    push(ada)
    cara.repo.commit({".gitcopilot": "[copilot]\n\tadapterTrust = any\n"})
    assert load_settings(cara.git).adapter_trust == "signed"
    assert "it is not signed" in cara.refused("pull")
    cara.repo.git("config", "copilot.adapterTrust", "all")
    assert "not one of signed, any" in cara.refused("pull")


def test_a_key_that_is_not_allowed_is_refused(ada, cara, ssh_keys):
    _, other, allowed = ssh_keys
    configure_ssh(ada.repo, other)
    configure_ssh(cara.repo, other, allowed=allowed)
    push(ada, "--sign")
    assert "git does not accept its signature" in cara.refused("pull")
    assert cara.json("fetch")[0]["signer"] == "not verified"
    cara.repo.git("config", "--unset", "gpg.ssh.allowedSignersFile")
    assert "allowedSignersFile" in cara.refused("pull")
    assert cara.installed() == []


def test_a_signature_of_other_content_is_refused(ada, remote, cara, ssh_keys):
    key, _, allowed = ssh_keys
    configure_ssh(ada.repo, key)
    configure_ssh(cara.repo, key, allowed=allowed)
    adapter = push(ada, "--sign")
    server = GitRepo(remote)
    ref = f"refs/copilot/adapters/{adapter}"
    signed = server.git("cat-file", "commit", ref)
    tree = server.git("rev-parse", f"{ref}^{{tree}}")
    other = server.git("mktree", stdin="")
    forged = server.git(
        "hash-object", "-t", "commit", "-w", "--stdin", stdin=signed.replace(tree, other) + "\n"
    )
    server.git("update-ref", ref, forged)
    assert "git does not accept its signature" in cara.refused("pull")
    assert cara.installed() == []


def test_a_replacement_ref_does_not_lend_a_signature_to_another_commit(ada, cara, ssh_keys):
    key, _, allowed = ssh_keys
    configure_ssh(ada.repo, key)
    configure_ssh(cara.repo, key, allowed=allowed)
    adapter = push(ada, "--sign")
    cara.ok("fetch")
    files = adapter_files(ada.folder(adapter))
    other = craft(cara.repo, adapter, files | {"run.py": b""}, ref="refs/heads/other")
    signed = ada.repo.git("rev-parse", f"refs/copilot/adapters/{adapter}")
    cara.repo.git("update-ref", f"refs/replace/{signed}", other)
    assert "run.py" in cara.repo.git("ls-tree", "--name-only", signed)
    assert cara.json("pull")["installed"] == [adapter]
    assert adapter_files(cara.folder(adapter)) == files


def test_git_signs_where_the_user_signs_all_commits(ada, ssh_keys):
    configure_ssh(ada.repo, ssh_keys[0])
    ada.repo.git("config", "commit.gpgSign", "true")
    adapter = add_adapter(ada.state)
    assert ada.ok("push", "--id", adapter) == f"origin has {adapter} (signed)\n"


def test_an_unsigned_adapter_can_be_signed_later(ada, cara, ssh_keys):
    key, _, allowed = ssh_keys
    configure_ssh(cara.repo, key, allowed=allowed)
    adapter = push(ada)
    cara.refused("pull")
    configure_ssh(ada.repo, key)
    assert "(signed)" in ada.ok("push", "--id", adapter, "--sign")
    assert "(signed)" in ada.ok("push", "--id", adapter)  # stays so
    assert cara.json("pull")["installed"] == [adapter]


def test_without_a_key_nothing_is_pushed(ada, remote):
    ada.repo.git("config", "gpg.format", "ssh")
    ada.repo.git("config", "user.signingKey", os.devnull)
    told = ada.refused("push", "--sign", "--id", add_adapter(ada.state))
    assert "cannot be signed" in told and "user.signingKey" in told
    assert GitRepo(remote).git("for-each-ref") == ""


def test_who_has_no_name_is_told_so(ada, monkeypatch):
    ada.repo.git("config", "user.useConfigOnly", "true")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    adapter = add_adapter(ada.state)
    adapter_store.use(ada.state, adapter)
    assert "user.name and user.email" in ada.refused("push")
