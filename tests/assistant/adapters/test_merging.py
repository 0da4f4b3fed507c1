"""Merged adapters are what their method says, and look like those that training makes."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from git_copilot.assistant.adapters.adapter_store import CONFIG, WEIGHTS
from git_copilot.assistant.adapters.merging import METHODS, Combination, Part, merge_adapters
from git_copilot.assistant.backend.loading import apply_adapter
from git_copilot.assistant.training.lora import ALPHA, add_adapter, save_adapter, scale_adapter
from git_copilot.index.core.errors import CopilotError
from tests.support.tiny_models import save_tiny
from tests.support.training_fixtures import fresh


@pytest.fixture(scope="module", name="folder")
def tiny_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", name="make")
def adapter_maker(folder, tmp_path_factory):
    """Makes an adapter of random weights that changes something."""

    def make(seed, rank=4, scale=1.0):
        target = tmp_path_factory.mktemp("adapter")
        wrapped = add_adapter(fresh(folder), rank, seed)
        generator = torch.Generator().manual_seed(seed)
        for name, weights in wrapped.named_parameters():
            if "lora_" in name:
                weights.data = torch.randn(weights.shape, generator=generator) * 0.05
        save_adapter(wrapped, target, "tiny")
        scale_adapter(target / CONFIG, scale)
        return target

    return make


def changes(base, folder):
    """What an adapter adds to each layer."""
    before = fresh(base).state_dict()
    after = apply_adapter(fresh(base), folder).state_dict()
    return {n: after[n] - w for n, w in before.items() if not torch.equal(after[n], w)}


def merged(folder, target, *parts, method="svd", **how):
    target.mkdir()
    found = [Part(f"a{i}", path, weight) for i, (path, weight) in enumerate(parts)]
    merge_adapters(folder, found, Combination(method, **how), target, "tiny")
    return target


def test_equal_adapters_stay_what_they_are(folder, make, tmp_path):
    one = make(1)
    expected = changes(folder, one)
    assert expected
    found = changes(folder, merged(folder, tmp_path / "m", (one, 0.5), (one, 0.5)))
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        torch.testing.assert_close(found[name], change, atol=1e-5, rtol=1e-4, msg=name)


def test_svd_is_the_best_sum_of_that_rank(folder, make, tmp_path):
    one, two = make(1), make(2, rank=6, scale=0.5)
    expected, other = changes(folder, one), changes(folder, two)
    found = changes(folder, merged(folder, tmp_path / "m", (one, 0.7), (two, 0.3)))
    for name, change in expected.items():
        u, s, vh = torch.linalg.svd(0.7 * change + 0.3 * other[name], full_matrices=False)
        best = (u[:, :6] * s[:6]) @ vh[:6]
        torch.testing.assert_close(found[name], best, atol=1e-4, rtol=1e-3, msg=name)


def test_linear_weighs_the_factors(folder, make, tmp_path):
    one, two = make(1), make(2)
    target = merged(folder, tmp_path / "m", (one, 0.64), (two, 0.36), method="linear")
    a, b = load_file(one / WEIGHTS), load_file(two / WEIGHTS)
    found = load_file(target / WEIGHTS)
    assert found.keys() == a.keys()
    for name in found:
        if ".lora_A." in name:
            other = name.replace("lora_A", "lora_B")
            down = (0.64 * ALPHA) ** 0.5 * a[name] + (0.36 * ALPHA) ** 0.5 * b[name]
            up = (0.64 * ALPHA) ** 0.5 * a[other] + (0.36 * ALPHA) ** 0.5 * b[other]
            torch.testing.assert_close(ALPHA * found[other] @ found[name], up @ down)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_repeatable_and_loads_with_peft(folder, make, tmp_path, method):
    parts = ((make(1), 1.0), (make(2), 0.5))
    first = merged(folder, tmp_path / "m", *parts, method=method, density=0.4, seed=3)
    again = merged(folder, tmp_path / "n", *parts, method=method, density=0.4, seed=3)
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()
    assert sorted(path.name for path in first.iterdir()) == [CONFIG, WEIGHTS]
    facts = json.loads((first / CONFIG).read_text())
    assert facts["base_model_name_or_path"] == "tiny"
    assert facts["lora_alpha"] == ALPHA * facts["r"]
    loaded = PeftModel.from_pretrained(fresh(folder), str(first))
    assert loaded.peft_config["default"].r == 4
    assert any(change.abs().max() > 0 for change in changes(folder, first).values())


def test_density_and_seed_count_where_they_should(folder, make, tmp_path):
    parts = ((make(1), 1.0), (make(2), 0.5))

    def weights(name, **how):
        return (merged(folder, tmp_path / name, *parts, **how) / WEIGHTS).read_bytes()

    assert weights("a", method="dare_ties", seed=1) != weights("b", method="dare_ties", seed=2)
    assert weights("c", method="ties", density=0.2) != weights("d", method="ties", density=0.9)


def test_unequal_ranks_name_the_method_that_takes_them(folder, make, tmp_path):
    with pytest.raises(CopilotError, match=r"equal rank \(a0 has 4, a1 has 6\)") as caught:
        merged(folder, tmp_path / "m", (make(1), 1), (make(2, rank=6), 1), method="ties")
    assert "--method svd" in str(caught.value.hint)


def test_a_damaged_adapter_is_named(folder, make, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(make(1), broken)
    data = (broken / WEIGHTS).read_bytes()
    (broken / WEIGHTS).write_bytes(data[:-10])
    with pytest.raises(CopilotError, match="adapter a1 is damaged"):
        merged(folder, tmp_path / "m", (make(2), 1), (broken, 1))


def test_an_adapter_of_another_model_is_refused(folder, make, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(make(1), other)
    weights = {n: torch.ones(3, 5) for n in load_file(other / WEIGHTS)}
    save_file(weights, other / WEIGHTS)
    with pytest.raises(CopilotError, match="the adapter a1 cannot be loaded"):
        merged(folder, tmp_path / "m", (make(2), 1), (other, 1))
