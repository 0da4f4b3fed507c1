"""``adapter merge``, ``scale``, ``judge``, ``use`` and ``rm`` on the command line."""

from __future__ import annotations

import contextlib
import io
import json

import click
import pytest
import torch

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service
from git_copilot.assistant.training.lora import add_adapter, save_adapter
from git_copilot.index.core.errors import CopilotError
from tests.support.tiny_models import save_tiny


@pytest.fixture(scope="module", name="tiny")
def tiny_model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", layers=1)


@pytest.fixture(name="made")
def repository_with_adapters(opened_repo, tiny):
    """A repository, and the ids of two adapters without holes."""
    repo, found, _ = opened_repo
    repo.git("config", "copilot.model", str(tiny))
    head = repo.commit({"a.py": "def first():\n    return 1\n"})
    return repo, [add(found.state_dir, tiny, str(tiny), seed, head) for seed in (1, 2)]


def add(state, folder, model, seed, head):
    """Store an adapter that learnt from ``head``."""

    def fill(target):
        wrapped = add_adapter(load_model(folder, dtype=torch.float32), 4, seed)
        save_adapter(wrapped, target, model)
        (target / adapter_store.COMMITS).write_text(f"{head}\n")

    identity = f"20261201-00000{seed}-abcd"
    report = {"base_model": model, "commits": {"train": [head, head]}, "promoted": False}
    adapter_store.create(state, identity, fill, report)
    return identity


def run(repo, *argv):
    """Run ``adapter``; its exit code and what it printed."""
    out = io.StringIO()
    service = Service()
    with contextlib.chdir(repo.path):
        code = dispatch(
            ["adapter", *argv], Terminal(repo.path, lambda: b"", out, io.StringIO()), service
        )
    service.close()
    return code, out.getvalue()


def test_merge_makes_an_adapter_that_is_listed_and_not_in_use(made):
    repo, (one, two) = made
    code, printed = run(
        repo, "merge", one, two, "--method", "ties", "--weights", "0.7,0.3", "--density", "0.2",
        "--no-judge", "--json",
    )  # fmt: skip
    report = json.loads(printed)
    assert code == 0
    assert report["merged"] == {
        "method": "ties", "density": 0.2, "seed": 0,
        "parts": [{"adapter": one, "weight": 0.7}, {"adapter": two, "weight": 0.3}],
    }  # fmt: skip
    rows = json.loads(run(repo, "list", "--json")[1])
    assert [row["id"] for row in rows] == [one, two, report["candidate"]]
    assert [row["current"] for row in rows] == [False] * 3


def test_an_adapter_is_also_named_by_its_folder(made, tmp_path, tiny):
    repo, (one, _) = made
    elsewhere = tmp_path / "theirs"
    save_adapter(add_adapter(load_model(tiny, dtype=torch.float32), 4, 7), elsewhere, str(tiny))
    code, printed = run(repo, "merge", one, str(elsewhere), "--no-judge", "--json")
    assert code == 0
    parts = json.loads(printed)["merged"]["parts"]
    assert parts == [{"adapter": one, "weight": 0.5}, {"adapter": "theirs", "weight": 0.5}]


def test_scale_copies(made):
    repo, (one, _) = made
    code, printed = run(repo, "scale", one, "0.4", "--no-judge")
    assert code == 0
    copy = printed.split()[0]
    report = json.loads(run(repo, "show", copy)[1])
    assert report["scaled"] == {"adapter": one, "scale": 0.4}
    assert f"`git copilot adapter judge {copy}`" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "at least two"),
        (("--weights", "1,2,3"), "3 weights do not fit"),
        (("--weights", "1,two"), "no list of numbers"),
        (("--weights", "1,-2"), "above 0"),
        (("--density", "0.4"), "--density is for dare_linear, dare_ties, ties"),
    ],
)
def test_wrong_usage(made, options, message):
    repo, adapters = made
    with pytest.raises(click.UsageError, match=message):
        run(repo, "merge", *adapters[: None if options else 1], *options)


def test_what_cannot_be_merged_is_one_line(made, tmp_path):
    repo, (one, _) = made
    with pytest.raises(CopilotError, match="there is no adapter 'nobody'"):
        run(repo, "merge", one, "nobody")
    with pytest.raises(CopilotError, match="neither an adapter nor a repository"):
        run(repo, "merge", one, str(tmp_path))
    with pytest.raises(CopilotError, match="named twice"):
        run(repo, "merge", one, one)
    assert len(json.loads(run(repo, "list", "--json")[1])) == 2


def test_adapters_of_another_model_are_refused(made, opened_repo, tiny):
    repo, (one, _) = made
    state = opened_repo[1].state_dir
    other = add(state, tiny, "another-model", 3, "0" * 40)
    with pytest.raises(CopilotError, match=f"{other} was trained for another-model"):
        run(repo, "merge", one, other)


def test_a_folder_can_have_an_adapter_of_its_own(made):
    repo, (one, two) = made
    repo.commit({"docs/a.md": "x", "api/v1/b.py": "y"})
    assert run(repo, "use", one)[0] == 0
    assert run(repo, "use", two, "--for", "api/v1") == (0, f"api/v1 uses {two}\n")
    assert run(repo, "use", "none", "--for", "docs/") == (0, "docs uses no adapter\n")
    listed = run(repo, "list")[1]
    assert f"  api/v1 uses {two}\n" in listed
    assert "  docs uses none\n" in listed
    assert run(repo, "use", "default", "--for", "docs")[1] == "docs uses what the repository uses\n"
    assert "docs" not in run(repo, "list")[1]
    for folder in (".", "..", "a.py", "missing"):
        with pytest.raises(CopilotError, match="is not a folder of this repository"):
            run(repo, "use", two, "--for", folder)
    with pytest.raises(click.UsageError):
        run(repo, "use", "default")


def test_rm_deletes(made):
    repo, (one, two) = made
    run(repo, "use", one)
    assert run(repo, "rm", one, two)[1] == f"deleted {one}, which was in use\ndeleted {two}\n"
    assert json.loads(run(repo, "list", "--json")[1]) == []
    with pytest.raises(CopilotError, match="there is no adapter"):
        run(repo, "rm", one)
