"""An adapter that somebody tampered with is refused in one line, and nothing of it is installed."""

from __future__ import annotations

import json

import pytest

from git_copilot.assistant.adapters import adapter_store, provenance
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.sharing.adapter_commits import FILES
from git_copilot.assistant.sharing.checks import Limits
from git_copilot.assistant.sharing.installation import pull_adapters
from git_copilot.assistant.sharing.page_check import is_inert
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.objects import SYMLINK
from tests.assistant.evaluation.test_html_report import page, results
from tests.support.gitrepo import GitRepo
from tests.support.shared_adapters import (
    CONFIG,
    MODEL,
    adapter_files,
    add_adapter,
    craft,
    safetensors,
)

EVIDENCE = {"base_model": MODEL, "promoted": True, "delta_em": 1.0}


@pytest.fixture(name="shared")
def an_adapter_that_was_pushed(ada):
    """Its id and files."""
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter)
    return adapter, adapter_files(ada.folder(adapter))


def refused(remote, bob, adapter, files, extra="", **more):
    """The line with which the crafted commit is refused."""
    craft(GitRepo(remote), adapter, files, extra, **more)
    told = bob.refused("pull")
    assert bob.installed() == [] and adapter_store.current_adapter(bob.state) is None
    assert adapter in told or "ref" in more
    return told


def test_an_untouched_copy_of_the_commit_is_accepted(remote, bob, shared):
    """The control: what `craft` makes is refused only for what was changed."""
    adapter, files = shared
    craft(GitRepo(remote), adapter, files)
    assert bob.json("pull")["used"] == adapter


def test_other_weights_under_the_same_ref_are_refused(remote, bob, shared):
    adapter, files = shared
    right = files | {adapter_store.WEIGHTS: safetensors(200)}
    bob.repo.git("config", "copilot.adapterTrust", "signed")
    assert "it is not signed" in refused(remote, bob, adapter, right)
    bob.repo.git("config", "copilot.adapterTrust", "any")
    assert "sha256 of its weights" in refused(remote, bob, adapter, right, sha="0" * 64)


def test_files_that_no_adapter_has_are_refused(remote, bob, shared):
    adapter, files = shared
    told = refused(remote, bob, adapter, files | {"run.py": b"print()"})
    assert "'run.py' that no adapter has" in told
    for name in FILES[:3]:
        rest = {key: data for key, data in files.items() if key != name}
        assert f"lacks {name}" in refused(remote, bob, adapter, rest)


@pytest.mark.parametrize("mode", [SYMLINK, "100755", "040000", "160000"])
def test_only_regular_files_are_accepted(remote, bob, shared, mode):
    adapter, files = shared
    rest = {key: data for key, data in files.items() if key != adapter_store.COMMITS}
    repo = GitRepo(remote)
    blob = repo.git("hash-object", "-w", "--stdin", stdin="../../config")
    tree = repo.git("mktree", stdin=f"100644 blob {blob}\tx\n")
    kind, oid = {
        "040000": ("tree", tree),
        "160000": ("commit", repo.git("commit-tree", tree, stdin="x")),
    }.get(mode, ("blob", blob))
    told = refused(remote, bob, adapter, rest, f"{mode} {kind} {oid}\t{adapter_store.COMMITS}\n")
    assert f"(mode {mode})" in told and "not one regular file" in told


def test_sizes_are_checked_before_a_file_is_read(ada, bob, shared):
    adapter, files = shared
    settings = load_settings(bob.git)
    sizes = Limits(len(files[adapter_store.WEIGHTS]), max(map(len, files.values())))
    for limits in (Limits(weights=sizes.weights - 1), Limits(other=sizes.other - 1)):
        with pytest.raises(CopilotError, match="larger than"):
            pull_adapters(bob.git, "origin", settings, limits=limits)
        assert bob.installed() == []
    assert pull_adapters(bob.git, "origin", settings, limits=sizes).installed == [adapter]


def test_truncated_weights_are_refused_with_a_remedy_that_fits(remote, bob, shared):
    adapter, files = shared
    cut = files | {adapter_store.WEIGHTS: safetensors()[:-1]}
    told = refused(remote, bob, adapter, cut)
    assert "cut short" in told and "rollback" not in told


def test_weights_besides_those_of_lora_are_refused(remote, bob, shared):
    adapter, files = shared
    whole = files | {adapter_store.WEIGHTS: safetensors(name="model.embed_tokens.weight")}
    assert "which is not LoRA's" in refused(remote, bob, adapter, whole)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("modules_to_save", ["lm_head"], "sets 'modules_to_save'"),
        ("auto_mapping", {"base_model_class": "X"}, "sets 'auto_mapping'"),
        ("peft_type", "IA3", "peft_type is not LORA"),
        ("eva_config", {"rho": 2}, "sets 'eva_config'"),
        ("some_new_option", "on", "sets 'some_new_option'"),
        ("use_dora", True, "sets 'use_dora'"),
        ("bias", "all", "sets 'bias'"),
        ("megatron_core", "os", "names a module to import"),
        ("target_modules", ["/etc/passwd"], "is a path"),
        ("base_model_name_or_path", "/home/ada/model", "is a path"),
        ("base_model_name_or_path", "other", "another base model"),
        ("rank_pattern", {"https://x": 2}, "is a path"),
        ("lora_alpha", float("nan"), "lora_alpha is not a number"),
        ("r", 0, "its rank"),
    ],
)
def test_a_configuration_of_more_than_plain_lora_is_refused(
    remote, bob, shared, key, value, reason
):
    adapter, files = shared
    config = json.dumps(CONFIG | {key: value}).encode()
    assert reason in refused(remote, bob, adapter, files | {adapter_store.CONFIG: config})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"base_model": "/home/ada/model"}, "not a name that other machines have"),
        ({"base_model": 3}, "not a name that other machines have"),
        ({"promoted": "yes"}, "promoted"),
        ({"delta_em": "1.0"}, "delta_em"),
        ({"delta_em": float("nan")}, "delta_em"),
        ({"commits": {"train": ["--octopus"]}}, "commits"),
        ({"commits": ["1" * 40]}, "commits"),
    ],
)
def test_evidence_of_the_wrong_type_is_refused(remote, bob, shared, change, reason):
    adapter, files = shared
    report = json.dumps(EVIDENCE | change).encode()
    assert reason in refused(remote, bob, adapter, files | {adapter_store.EVIDENCE: report})


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (adapter_store.COMMITS, b"--all\n", "not a commit's id"),
        (provenance.FILE, b'["-x", "b", "p", 0, 1, "line", "python"]\n', "holes.jsonl is damaged"),
        (provenance.FILE, b"[", "holes.jsonl is damaged"),
        (adapter_store.PAGE, b"<script>1</script>", "not a page of git-copilot"),
        (adapter_store.EVIDENCE, b"[" * 100_000, "cannot be read"),
        (adapter_store.EVIDENCE, b"[]", "not an object"),
        (adapter_store.CONFIG, b"\xff", "damaged"),
    ],
)
def test_damaged_or_active_files_are_refused(remote, bob, shared, name, data, reason):
    adapter, files = shared
    assert reason in refused(remote, bob, adapter, files | {name: data})


@pytest.mark.parametrize(
    "name", ["evil", "20261399-000000-abcd", "20200101-000000-abcd/x", "20200101-000000-ABCD"]
)
def test_a_ref_that_is_not_called_like_an_adapter_is_refused(remote, bob, shared, name):
    adapter, files = shared
    repo = GitRepo(remote)
    repo.git("update-ref", "-d", f"refs/copilot/adapters/{adapter}")
    told = refused(remote, bob, name, files, ref=f"refs/copilot/adapters/{name}")
    assert "is not an adapter's id" in told
    assert bob.json("fetch")[0]["problem"].startswith("refs/copilot/remotes/origin/")
    assert bob.json("log") == []


def test_a_commit_of_another_adapter_or_of_another_tool_is_refused(remote, bob, shared):
    adapter, files = shared
    other, repo = "20200101-000000-abcd", GitRepo(remote)
    ref = f"refs/copilot/adapters/{adapter}"
    assert f"its commit is that of {other}" in refused(remote, bob, other, files, ref=ref)
    tree = repo.git("rev-parse", f"{ref}^{{tree}}")
    plain = repo.git("commit-tree", tree, stdin="hello\n")
    repo.git("update-ref", ref, plain)
    assert "was not made by git-copilot" in bob.refused("pull")
    message = f"copilot adapter {adapter}\n\nBase-Model: {MODEL}\nWeights-SHA256: {'0' * 64}\n"
    child = repo.git("commit-tree", tree, "-p", plain, stdin=message)
    repo.git("update-ref", ref, child)
    assert "has a parent" in bob.refused("pull")
    repo.git("update-ref", ref, tree)
    assert "is a tree, not a commit" in bob.refused("pull")
    assert "its evidence is for another" in refused(remote, bob, adapter, files, base="other")


def test_a_refused_adapter_does_not_keep_others_from_being_installed(ada, remote, bob, shared):
    adapter, files = shared
    good = add_adapter(ada.state, 7)
    ada.ok("push", "--id", good)
    craft(GitRepo(remote), adapter, files | {"run.py": b""})
    code, out, err = bob.run("pull")
    assert code == 1 and f"installed {good}" in out and bob.installed() == [good]
    assert err.count("\n") == 1 and "run.py" in err
    code, out, _ = bob.run("pull", "--json")
    assert code == 1 and [each["id"] for each in json.loads(out)["refused"]] == [adapter]
    rows = bob.json("fetch")
    assert [("run.py" in (row["problem"] or ""), row["id"]) for row in rows] == [
        (True, adapter),
        (False, good),
    ]


def test_a_path_of_one_machine_is_not_pushed(ada):
    adapter = add_adapter(ada.state, base_model="/home/ada/model")
    assert "not a name that other machines have" in ada.refused("push", "--id", adapter)


def test_a_page_of_git_copilot_is_inert_and_each_active_one_is_not():
    text = page(results())
    assert is_inert(text.encode())
    for active in (
        "<script>x()</script>", "<img src=x onerror=x()>", "<p onclick=x()>", "<svg><style><img>",
        "<meta http-equiv=refresh content=0>", "<p/onclick=x()>", "<!-- -->", "<a href=x>", "<",
        "<style>@import 'x'</style>", "<style>p { background: u\\72l(x) }</style>", "<p style=x>",
        "<SCRIPT>", "<style media=all>", '<p class="a>b">',
    ):  # fmt: skip
        assert not is_inert((text + active).encode()), active
    assert not is_inert(b"\xff")
