"""bench/seed/train_cuda.py: from a pack to an adapter, in calls that go on from each other."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time

import pytest
import torch

from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.models.seed_adapter_files import prepare_base
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from tests.support.packed_files import SEED, file, kit, many, packed, pieces, repository
from tests.support.tiny_models import SPARE, save_tiny

SMALL = {"row": 256, "rows": 2, "rank": 4, "export_rank": 4, "workers": 0, "learning_rate": 5e-3}


@pytest.fixture(scope="module", name="base")
def tiny_base(tmp_path_factory):
    """A tiny model with the sentinels named."""
    folder = tmp_path_factory.mktemp("base")
    prepare_base(save_tiny(folder / "tiny", specials=SPARE), folder / "prepared")
    return folder / "prepared"


@pytest.fixture(scope="module", name="tokenizer")
def its_tokenizer(base):
    return TextTokenizer.load(base)


@pytest.fixture(scope="module", name="corpus")
def small_corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "corpus.xz"
    files = [file(n % 2, f"{kind}{n}") for kind in ("apple", "pear") for n in range(4)]
    packed.write_pack(path, [{"name": "fruit/one"}, {"name": "two"}], files)
    return path


@pytest.fixture(scope="module", name="archive")
def base_archive(base, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "base.tar.xz"
    done = subprocess.run(
        [sys.executable, SEED / "pack.py", "base", "--model", base.parent / "tiny", "--out", path],
        env={**os.environ, "PYTHONPATH": str(SEED.parents[1] / ".dev")}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return path


def rows_of(tokenizer, count=40, length=256):
    found = [piece for piece in many(tokenizer) if piece.size <= length]
    return found, kit.pack_rows(itertools.cycle(found), count, length)


def test_rows_hold_examples_one_after_the_other(tokenizer):
    found, batch = rows_of(tokenizer)
    first = found[0]
    assert batch["ids"][0, : first.size].tolist() == [*first.prompt_ids, *first.middle_ids]
    assert (
        batch["targets"][0, : first.size - 1].tolist() == batch["ids"][0, 1 : first.size].tolist()
    )
    weights = batch["weights"][0, : first.size]
    own = len(first.prompt_ids) - 1
    assert weights[own : first.size - 1].tolist() == [first.weight] * len(first.middle_ids)
    assert weights[first.size - 1] == 0
    used = batch["texts"] != kit.PADDING
    assert used.float().mean() > 0.6
    assert (batch["weights"][~used] == 0).all()
    starts = batch["positions"][used] == 0
    assert starts.sum() == sum(len(set(row.tolist()) - {kit.PADDING}) for row in batch["texts"])


def test_examples_of_a_row_do_not_see_each_other(base, tokenizer):
    found, batch = rows_of(tokenizer, count=3)
    run = kit.Run(base, kit.Options(**SMALL), "cpu")
    with torch.no_grad():
        together, weights = run.losses(batch)
    apart, place = 0.0, iter(found)
    for row in batch["texts"]:
        for _ in range(int(row.max()) + 1):
            following = itertools.chain([next(place)], itertools.cycle(found))
            alone = kit.pack_rows(following, 1, 256)
            size = int((alone["texts"][0] == 0).sum())
            one = {name: tensor[:, :size] for name, tensor in alone.items()}
            with torch.no_grad():
                apart += float(run.losses(one)[0])
    assert float(together) == pytest.approx(apart, rel=1e-4)
    assert weights == pytest.approx(float(batch["weights"].sum()))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_goes_on_sees_the_rows_that_it_would_have_seen(corpus, tokenizer, workers):
    options = kit.Options(**{**SMALL, "workers": workers})

    def batches(first, count):
        loader = torch.utils.data.DataLoader(
            kit.Rows(corpus, tokenizer, options, first), batch_size=None, num_workers=workers
        )
        return [batch["ids"] for batch in itertools.islice(loader, count)]

    whole = batches(0, 5)
    assert all(map(torch.equal, batches(3, 2), whole[3:]))
    assert not torch.equal(whole[0], whole[1])


def arguments(corpus, archive, folder, **changed):
    given = {
        **SMALL,
        "seconds": 3,
        "budget": 60,
        "checkpoint_seconds": 0,
        "device": "cpu",
        **changed,
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    where = (
        "--corpus",
        corpus,
        "--base",
        archive,
        "--work",
        folder / "work",
        "--out",
        folder / "out",
    )
    return [*map(str, where), *options]


def test_training_learns_resumes_and_its_adapter_completes(
    corpus, archive, base, tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(kit, "HELD_OUT", 3)
    assert kit.main(arguments(corpus, archive, tmp_path)) == 0
    first = json.loads((tmp_path / "out" / "report.json").read_text())
    assert kit.main(arguments(corpus, archive, tmp_path)) == 0
    second = json.loads((tmp_path / "out" / "report.json").read_text())
    assert second["steps"] == first["steps"] + len(second["losses"])
    assert second["spent"] > first["spent"] > 0
    assert second["held_out_before"] == pytest.approx(first["held_out"], rel=1e-3)
    assert second["held_out"] < first["held_out_before"] - 0.3
    merged = apply_adapter(load_model(base, dtype=torch.float32), tmp_path / "out")
    engine = Engine(merged, tokenizer)
    found, rng = repository(), random.Random(5)
    prompt = next(
        p.prompt_ids for _ in range(99) if (p := pieces.make_piece(found, 0, tokenizer, rng))
    )
    assert engine.generate(GenerationRequest(prompt, Sampling(max_tokens=4))).text


def test_the_exported_adapter_is_what_was_trained(base, tokenizer, tmp_path):
    run = kit.Run(base, kit.Options(**SMALL), "cpu")
    _, batch = rows_of(tokenizer, count=2)
    for _ in range(3):
        run.spent += 5
        run.train(batch, 60)
    run.export(tmp_path, "tiny")
    merged = apply_adapter(load_model(base, dtype=torch.float32), tmp_path)
    ids = batch["ids"][:1, :64]
    with torch.no_grad():
        expected, found = run.model(ids).logits, merged(ids).logits
    assert torch.allclose(expected, found, atol=0.05)
    assert not torch.allclose(
        expected, load_model(base, dtype=torch.float32)(ids).logits, atol=0.05
    )


def test_the_rank_is_limited_by_the_largest_singular_values():
    torch.manual_seed(0)
    a, b = torch.randn(8, 20), torch.randn(30, 8)
    left, values, right = torch.linalg.svd(b @ a)
    best = left[:, :3] * values[:3] @ right[:3]
    small_a, small_b = kit.limit_rank(a, b, 3)
    assert small_a.shape == (3, 20) and small_b.shape == (30, 3)
    assert torch.allclose(small_b @ small_a, best, atol=1e-3)


def test_other_options_do_not_go_on_from_a_checkpoint(corpus, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(kit, "HELD_OUT", 3)
    kit.main(arguments(corpus, archive, tmp_path, seconds=0.1))
    with pytest.raises(SystemExit, match="choose another --work"):
        kit.main(arguments(corpus, archive, tmp_path, rank=8))


def test_parts_are_put_together(corpus, tmp_path):
    data = corpus.read_bytes()
    parts = [tmp_path / "corpus.xz.00", tmp_path / "corpus.xz.01"]
    parts[0].write_bytes(data[:100]), parts[1].write_bytes(data[100:])
    whole = kit.join(parts, tmp_path, "corpus.xz")
    assert whole.read_bytes() == data
    assert kit.join(parts[:1], tmp_path, "corpus.xz") == parts[0]


def test_an_adapter_is_split_into_parts_that_can_be_joined(tmp_path):
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(bytes(range(250)))
    kit.split_file(path, 300)
    assert path.stat().st_size == 250
    kit.split_file(path, 100)
    parts = sorted(tmp_path.iterdir())
    assert [part.name[-3:] for part in parts] == [".00", ".01", ".02"]
    assert b"".join(part.read_bytes() for part in parts) == bytes(range(250))


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(corpus, archive, tmp_path):
    # Of eight files none is the two hundredth: the first one is held out.
    command = [sys.executable, SEED / "train_cuda.py"]
    started = subprocess.Popen([*command, *arguments(corpus, archive, tmp_path, seconds=300)])
    checkpoint = tmp_path / "work" / kit.CHECKPOINT
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    started.kill()
    started.wait()
    assert checkpoint.exists() and not (tmp_path / "out").exists()
    done = subprocess.run(
        [*command, *arguments(corpus, archive, tmp_path, seconds=1)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["steps"] > len(report["losses"]) > 0
