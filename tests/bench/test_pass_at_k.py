"""bench/pass_at_k.py: samples of each hole, run with the tests, and the unbiased estimate."""

from __future__ import annotations

import gzip
import importlib
import itertools
import json
from pathlib import Path
from statistics import fmean

import pytest

from tests.support.humaneval import HEAD, ROWS, TEST
from tests.support.tiny_models import save_tiny

BENCH = Path(__file__).resolve().parents[2] / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    bench, infilling = (importlib.import_module(name) for name in ("pass_at_k", "infilling"))


@pytest.mark.parametrize(
    ("samples", "right", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (4, 4, 1), (7, 6, 2)]
)
def test_the_estimate_is_the_share_of_all_choices_with_a_right_one(samples, right, k):
    choices = itertools.combinations([True] * right + [False] * (samples - right), k)
    assert bench.pass_at(k, samples, right) == pytest.approx(fmean(map(any, choices)))


def test_a_function_ends_at_the_first_line_in_column_one():
    body = "    y = [\n        x,\n]\n    return y\n"
    assert bench.until_the_function_ends(body) == body
    assert bench.until_the_function_ends(f"{body}\nprint(1)\n") == f"{body}\n"
    assert bench.until_the_function_ends(f"{body}# more\n") == body


@pytest.fixture(scope="module", name="folder")
def tiny_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"), fim=True)


@pytest.fixture(name="data")
def small_benchmark(tmp_path):
    problem = {
        "task_id": "HumanEval/0", "entry_point": "double", "prompt": HEAD,
        "canonical_solution": "    return x * 2\n", "test": TEST,
    }  # fmt: skip
    files = {bench.HUMANEVAL_FILE: [problem]} | dict.fromkeys(infilling.FILES.values(), ROWS)
    for name, rows in files.items():
        with gzip.open(tmp_path / name, "wt", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
    return tmp_path


def run(capsys, data, folder, *arguments):
    given = ["--data", data, "--model", folder, "--samples", 4, "--max-tokens", 8, *arguments]
    code = bench.main([str(each) for each in given])
    return code, *capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("subset", ["humaneval", "multi-line"])
def test_a_random_model_is_measured(folder, data, capsys, subset):
    code, out, _ = run(capsys, data, folder, "--subset", subset, "--json")
    assert code == 0
    result = json.loads(out)
    assert result["subset"] == subset and result["holes"] == (1 if subset == "humaneval" else 3)
    assert result["pass@1"]["value"] == 0 and "pass@10" not in result
    if subset == "humaneval":  # inside a file trim rules leave nothing of a random text
        assert result["distinct"] > 25
    assert run(capsys, data, folder, "--subset", subset)[1].startswith(f"{subset}: ")


@pytest.mark.slow
def test_right_samples_count(folder, data, capsys, monkeypatch):
    """Of four samples of each hole the first is right."""

    def drawn(engine, task, tokenizer, drawn, *, whole):
        return [task.middle, *["    return None\n"] * (drawn.samples - 1)]

    monkeypatch.setattr(bench, "draw", drawn)
    result = json.loads(run(capsys, data, folder, "--json")[1])
    assert result["pass@1"]["value"] == 25 and result["right"] == {"HumanEval/0": 1}


def test_a_missing_file_is_told(folder, tmp_path, capsys):
    code, _, err = run(capsys, tmp_path / "nowhere", folder)
    assert code == 1 and "is not there" in err
