"""bench/cross_file.py: what fails at holes that need another file."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tests.support.tiny_models import save_tiny

BENCH = Path(__file__).resolve().parents[2] / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    cross_file = importlib.import_module("cross_file")


@pytest.fixture(scope="module", name="folder")
def tiny_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"), fim=True)


def write_history(repo):
    for name in ("harbour", "glacier", "violin"):
        repo.commit({
            f"{name}.py": f"def measure_{name}(first, second):\n    return first + second * 2\n"
        })  # fmt: skip
    for i, name in enumerate(("harbour", "glacier", "violin")):
        body = f"from {name} import *\n\n\ndef use_{i}(value, other):\n"
        repo.commit({f"use{i}.py": body + f"    total = measure_{name}(value, other)\n"})


@pytest.mark.slow
def test_every_arm_is_measured_at_holes_that_need_another_file(repo, folder, capsys):
    write_history(repo)
    arguments = [
        "--repo",
        str(repo.path),
        "--model",
        str(folder),
        "--limit",
        "6",
        "--examples",
        "9",
    ]
    assert cross_file.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (row,) = result["repositories"].values()
    whole = row["all"]
    assert 0 < whole["holes"] <= 6
    assert set(whole["arms"]) == set(cross_file.ARMS)
    assert set(whole["differences"]) == set(cross_file.DIFFERENCES)
    for example in row["examples"]:
        (needed,) = example["needs"]
        assert needed.startswith("measure_") and needed in example["before"] + example["middle"]
    # A small repository: search finds the definition.
    assert row["found"]["holes"] > 0
    # The oracle's prompt is not the one without snippets.
    arms = whole["arms"]
    assert arms["prompt"]["bits_per_byte"] != arms["nothing"]["bits_per_byte"]
    assert cross_file.main(arguments) == 0
    assert "oracle" in capsys.readouterr().out


@pytest.mark.slow
def test_a_repository_without_such_holes_is_told(repo, folder, capsys):
    repo.commit({"a.py": "one = 1\n"})
    repo.commit({"a.py": "one = 1\ntwo = 2\n"})
    assert cross_file.main(["--repo", str(repo.path), "--model", str(folder)]) == 1
    assert "no cross-file holes" in capsys.readouterr().err
