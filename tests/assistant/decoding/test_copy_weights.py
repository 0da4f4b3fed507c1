"""Copy weights are fitted to likelihood, and adapters are averaged exactly."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import random
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.decoding.copy_weights import LONGEST, NAME, read_copy_weights
from git_copilot.assistant.models.seed_adapter_files import make_seeded
from git_copilot.index.core.errors import CopilotError
from tests.support.tiny_models import SPARE, adapter_of, save_tiny

BENCH = Path(__file__).resolve().parents[3] / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    patch.syspath_prepend(str(BENCH / "seed"))
    copy_weights = importlib.import_module("copy_weights")
    average = importlib.import_module("average")
    line_end = importlib.import_module("line_end")
    reward = importlib.import_module("reward")


def tokens(count=4000):
    """With a match of three or more tokens its continuation is right in 9 of 10 cases, the model
    in 4 of 10. One token in ten is an end, of which the model predicts half."""
    chance = random.Random(0)
    found = []
    for _ in range(count):
        if chance.random() < 0.1:
            found.append(copy_weights.Token("r", True, 0.05, 0.05, 0.5))
            continue
        length = chance.randint(0, 6)
        right = chance.random() < (0.9 if length >= 3 else 0.1)
        model = 0.4 if length else 0.3
        found.append(
            copy_weights.Token("r", False, model, 0.05, 0.5, length, 1.0, float(right), 0.37)
        )
    return found


def test_fit_trusts_long_matches_and_matches_the_rate_of_end_tokens():
    mixture = copy_weights.fit(tokens())
    weights = mixture.weights()
    trust = [weights.copied_part(length, 1.0, 0.5, 0.37) for length in range(1, 7)]
    assert max(trust[:2]) < 0.1 and min(trust[2:]) > 0.7
    ended = 1 / (1 + math.exp(-math.log(0.05 / 0.95) - weights.ending))
    assert ended == pytest.approx(sum(t.ends for t in tokens()) / len(tokens()), abs=0.01)
    alone = -sum(math.log(t.model) for t in tokens()) / len(tokens())
    assert mixture.nats(tokens()).item() < alone - 0.2


def test_a_token_without_a_match_has_the_models_probability():
    lone = [copy_weights.Token("r", False, 0.25, 0.1, 0.3)]
    assert copy_weights.Mixture().nats(lone).item() == pytest.approx(math.log(4), abs=1e-5)
    end = [copy_weights.Token("r", True, 0.1, 0.1, 0.3)]
    assert copy_weights.Mixture().nats(end).item() == pytest.approx(math.log(10), abs=1e-5)


def test_fit_ignores_positions_where_no_end_is_possible():
    first = [copy_weights.Token("r", False, 0.25, 0.1, 0.3, begun=False)] * 4000
    with_first, without = (copy_weights.fit(x).weights() for x in (tokens() + first, tokens()))
    assert with_first.ending == pytest.approx(without.ending, abs=0.02)
    begun = [dataclasses.replace(t, begun=True) for t in first]
    assert copy_weights.fit(tokens() + begun).weights().ending < without.ending - 0.2


@pytest.fixture
def recipe(repo, tmp_path, monkeypatch):
    """A recipe with one small repository, and its folder."""
    repo.commit({"util.py": "def combine(first, second):\n    return first + second * 2\n"})
    for name in ("alpha", "beta", "gamma"):
        body = f"from util import combine\n\n\ndef {name}(value, other):\n"
        body = "".join(f"LIMIT_{i} = {i}\n" for i in range(400)) + body  # no prompt shows all
        repo.commit({f"{name}.py": body + "    total = combine(value, other)\n    return total\n"})
    head = repo.git("rev-parse", "HEAD").strip()
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[copying]\nholes = 6\nkinds = ["line", "chars", "lines"]\n'
        f'[[copying.repository]]\nname = "own/work"\ncommit = "{head}"\n'
    )
    monkeypatch.setattr(copy_weights, "RECIPE", path)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "own+work").symlink_to(repo.path)
    return tmp_path


def test_weights_are_fitted_from_the_commits_of_a_repository(recipe, tmp_path):
    model = save_tiny(tmp_path / "tiny", fim=True)
    out = tmp_path / "out"
    out.mkdir()
    options = ["--sources", str(recipe / "sources"), "--model", str(model), "--out", str(out)]
    done = CliRunner().invoke(copy_weights.main, options, catch_exceptions=False)
    assert done.exit_code == 0 and "holes" in done.output
    weights = read_copy_weights(out)
    assert weights is not None and len(set(weights.lengths)) > 1
    # A random model is worth less than any copy.
    assert weights.copied_part(LONGEST, 1.0, 0.1, 0.01) > 0.2


def compared(command, recipe):
    """The lines that a command prints for a tiny model with weights; without them it refuses."""
    model = save_tiny(recipe / "tiny", fim=True)
    options = ["--sources", str(recipe / "sources"), "--model", str(model)]
    refused = CliRunner().invoke(command, options)
    assert refused.exit_code == 1 and "copy_weights.py first" in refused.output
    facts = {"share": 1, "sure": 2, "log_sure": 3, "agreed": 4, "lengths": [0.5] * LONGEST}
    (model / NAME).write_text(json.dumps({**facts, "line_end": 2.0}))
    return CliRunner().invoke(command, options, catch_exceptions=False).output.splitlines()


def test_the_line_end_bench_prints_a_row_per_margin(recipe):
    lines = compared(line_end.main, recipe)
    *_, last = lines
    assert len(lines) == 2 + len(line_end.MARGINS)
    assert last.split()[0] == "inf" and int(last.split()[-1]) > 0


def test_the_reward_bench_compares_each_reward_with_greedy_decoding(recipe):
    name, head, greedy, *rows = [line.split() for line in compared(reward.main, recipe)]
    assert head[:3] == ["reward", "em", "es"] and int(name[-4]) > 0
    assert (greedy[0], greedy[3:7]) == ("greedy", ["+0", "-0", "0.0", "0"])
    assert [row[0] for row in rows] == [format(r, ".1f") for r in reward.REWARDS[1:]]


def test_the_reward_bench_counts_gains_and_losses():
    right, wrong = (
        reward.ScoredAnswer(100.0, 100.0, 4, 10.0),
        reward.ScoredAnswer(0.0, 50.0, 0, 20.0),
    )
    found = reward.row(0.3, [right, right, wrong, wrong], [right, wrong, right, wrong])
    assert found.split() == ["0.3", "50.0", "75.0", "+1", "-1", "2.0", "4", "15"]


def test_the_line_end_bench_ends_an_answer_below_the_margin():
    def answer(middle, text, margin):
        line = text.partition("\n")[0]
        return line_end.EndedAnswer(middle, text, line, margin, (len(text), len(line)))

    early, late = answer("one", "one\ntwo", 1.2), answer("one\ntwo", "one\ntwo", 2.2)
    block = answer("a\nb", "a\nb", line_end.ALWAYS)
    assert [early.ended(m) for m in (1.0, 1.5)] == ["one\ntwo", "one"]
    assert [block.written(m) for m in (2.0, line_end.ALWAYS)] == [3, 3]
    none, *_, some, every = [r.split() for r in line_end.table([early, late, block])][1:]
    # Exact matches within a line, of longer ones; lines right, shown; tokens.
    assert (none[1], none[3], none[5:8], none[8]) == ("0.0", "100.0", ["5", "of", "6"], "17")
    assert (some[0], some[1], some[3]) == ("3.0", "100.0", "50.0")
    assert every[8] == "9"
    two = [r.split() for r in line_end.table([early, late, block])][1 + line_end.MARGINS.index(2.0)]
    assert (two[1], two[3], two[5:8]) == ("100.0", "100.0", ["5", "of", "5"])


def test_fitting_refuses_a_source_that_is_not_at_the_commit_of_the_recipe(recipe, repo, tmp_path):
    repo.commit({"more.py": "x = 1\n"})
    model = save_tiny(tmp_path / "tiny")
    options = ["--sources", str(recipe / "sources"), "--model", str(model)]
    with pytest.raises(CopilotError, match="not at"):
        CliRunner().invoke(copy_weights.main, options, catch_exceptions=False)


def test_the_seeded_model_carries_the_copy_weights_of_its_adapter(tmp_path):
    base = save_tiny(tmp_path / "base", specials=SPARE)
    adapter = adapter_of(base, tmp_path / "adapter")
    make_seeded(base, tmp_path / "without", adapter)
    assert read_copy_weights(tmp_path / "without") is None
    facts = {"share": 1, "sure": 2, "log_sure": 3, "agreed": 4, "lengths": [0.5] * LONGEST}
    (adapter / NAME).write_text(json.dumps(facts))
    make_seeded(base, tmp_path / "with", adapter)
    assert read_copy_weights(tmp_path / "with") == read_copy_weights(adapter)


def test_averaging_adapters_averages_their_weight_deltas(tmp_path):
    base = save_tiny(tmp_path / "base")
    folders = [adapter_of(base, tmp_path / f"adapter{seed}", seed) for seed in range(2)]
    out = tmp_path / "mean"
    options = [*(x for f in folders for x in ("--adapter", str(f))), "--rank", "8"]
    done = CliRunner().invoke(average.main, [*options, "--out", str(out)], catch_exceptions=False)
    assert "leaves out 0.00%" in done.output  # two of rank 4 fit into rank 8

    def weights(folder):
        model = apply_adapter(load_model(base, dtype=torch.float32), folder)
        return {n: p.detach() for n, p in model.named_parameters()}

    first, second, mean = (weights(f) for f in (*folders, out))
    assert any((first[n] - second[n]).abs().max() > 0.01 for n in first)
    for name, weight in mean.items():
        wanted = (first[name] + second[name]) / 2
        assert (weight - wanted).abs().max() < 0.01 * wanted.abs().max() + 1e-6
    _, lost = average.average(folders, 4, 2.0)
    assert 0 < lost < 1


def test_averaging_refuses_adapters_of_different_layers(tmp_path):
    small = adapter_of(save_tiny(tmp_path / "one", layers=1), tmp_path / "a")
    large = adapter_of(save_tiny(tmp_path / "two", layers=2), tmp_path / "b")
    with pytest.raises(ValueError, match="not of the same layers"):
        average.average([small, large], 4, 2.0)
