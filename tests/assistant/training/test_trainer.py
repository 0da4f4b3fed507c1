"""Training: fused layers are LoRA, interrupted runs resume, padding has no effect."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from git_copilot.assistant.backend.loading import apply_adapter
from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.training import checkpoint, trainer
from git_copilot.assistant.training.batches import (
    Decay,
    TrainingRecipe,
    plan_steps,
)
from git_copilot.assistant.training.lora import add_adapter
from git_copilot.assistant.training.trainer import train_adapter
from git_copilot.index.core.errors import ModelError
from tests.support.training_fixtures import (  # noqa: F401 - fixtures
    RECIPE,
    fresh,
    run,
    tiny_examples,
    tiny_folder,
)


def weights(work):
    return load_file(work / "candidate" / "adapter_model.safetensors")


def stop_at(step):
    """A progress callback that raises KeyboardInterrupt, as Ctrl-C does, before a step."""

    def progress(label, done, total):
        if label == "training" and done == step:
            raise KeyboardInterrupt

    return progress


def test_the_fused_lora_layer_equals_pefts_in_output_and_gradients(folder):
    from peft import LoraConfig, get_peft_model

    fused = add_adapter(fresh(folder), 4, seed=1).eval()
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    plain = get_peft_model(fresh(folder), config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in fused.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    plain.load_state_dict(fused.state_dict())
    ids = torch.arange(24).reshape(2, 12)
    gradients = []
    for model in (fused, plain):
        logits = model(ids).logits
        logits.square().mean().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert torch.allclose(fused(ids).logits, plain(ids).logits, atol=1e-4)
    assert gradients[0].keys() == gradients[1].keys()
    assert all("lora_" in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-3, atol=1e-6), name


def test_dropout_is_on_while_training_only(folder):
    model = add_adapter(fresh(folder), 4, seed=1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    ids = torch.arange(12).unsqueeze(0)
    with torch.no_grad():
        assert not torch.equal(model(ids).logits, model(ids).logits)
        model.eval()
        assert torch.equal(model(ids).logits, model(ids).logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_trained_adapter_lowers_the_loss_and_loads_in_peft(folder, examples, tmp_path, dtype):
    report = run(folder, examples, tmp_path, dtype=dtype)
    assert (report.steps, report.planned_steps, report.stopped) == (12, 12, False)
    tokenizer = TextTokenizer.load(folder)
    arms = []
    for model in (fresh(folder), apply_adapter(fresh(folder), tmp_path / "candidate")):
        scores = evaluate(model, tokenizer, examples, ScoringOptions(max_tokens=1, generate=False))
        arms.append(sum(s.nll for s in scores) / sum(s.tokens for s in scores))
    assert arms[1] < arms[0] - 0.3
    config = (tmp_path / "candidate" / "adapter_config.json").read_text()
    assert '"base_model_name_or_path": "tiny"' in config
    assert str(folder) not in config


def test_training_does_not_change_the_base_model(folder, examples, tmp_path):
    model = fresh(folder)
    before = {n: p.clone() for n, p in model.named_parameters()}
    train_adapter(model, examples, RECIPE, model_name="tiny", work=tmp_path)
    after = {n.replace(".base_layer", ""): p for n, p in model.named_parameters()}
    assert all(torch.equal(p, after[n]) for n, p in before.items())


def test_the_loss_covers_middles_only_and_ignores_padding(folder, examples):
    state = trainer._TrainingState(add_adapter(fresh(folder), 4, seed=0).eval(), RECIPE)
    with trainer.only_positions(state.model.get_base_model()) as choose:
        loss = trainer._step(state, examples[:5], choose)
    options = ScoringOptions(max_tokens=1, generate=False)
    scores = evaluate(fresh(folder), TextTokenizer.load(folder), examples[:5], options)
    expected = sum(s.nll + s.end_nll for s in scores) / sum(s.tokens + 1 for s in scores)
    assert loss == pytest.approx(expected, rel=1e-3)


def test_each_epoch_has_every_example_once_in_seeded_order(examples):
    steps = plan_steps(examples, RECIPE)
    assert sorted(i for step in steps for i in step) == sorted([*range(len(examples))] * 3)
    assert steps == plan_steps(examples, RECIPE)
    other = plan_steps(examples, TrainingRecipe(rank=4, epochs=3, batch=4, seed=1))
    assert steps != other


def test_the_adapter_depends_on_the_seed_only(folder, examples, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(folder, examples, tmp_path / name, TrainingRecipe(rank=4, epochs=1, batch=4, seed=seed))
    first, same, other = (weights(tmp_path / n) for n in "abc")
    assert all(torch.equal(v, same[k]) for k, v in first.items())
    assert any(not torch.equal(v, other[k]) for k, v in first.items())


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 7])
def test_a_resumed_run_gives_the_same_adapter_as_an_uninterrupted_one(
    folder, examples, tmp_path, step
):
    run(folder, examples, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(folder, examples, tmp_path / "cut", progress=stop_at(step))
    report = run(folder, examples, tmp_path / "cut")
    assert (report.resumed_at, report.steps) == (step, 12)
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(v, resumed[k]) for k, v in whole.items())


def test_a_kill_loses_at_most_a_few_steps(folder, examples, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(trainer, "CHECKPOINT_STEPS", 2)

        def killed(label, done, total):
            if done == 5:
                raise SystemExit  # nothing is saved on the way out, as with kill -9

        run(folder, examples, tmp_path, progress=killed)
    assert run(folder, examples, tmp_path).resumed_at == 4


@pytest.mark.parametrize("damage", [b"", b"\x10", b"x" * 5000])
def test_a_damaged_checkpoint_restarts_training(folder, examples, tmp_path, damage):
    with pytest.raises(KeyboardInterrupt):
        run(folder, examples, tmp_path, progress=stop_at(3))
    (tmp_path / checkpoint.NAME).write_bytes(damage)
    assert run(folder, examples, tmp_path).resumed_at == 0


def test_a_checkpoint_of_another_training_is_not_resumed(folder, examples, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(folder, examples, tmp_path, progress=stop_at(3))
    assert run(folder, examples[1:], tmp_path).resumed_at == 0


def test_a_timeout_still_gives_an_adapter(folder, examples, tmp_path):
    ticks = iter(range(1000))
    report = run(folder, examples, tmp_path, seconds=4, clock=lambda: next(ticks))
    assert report.stopped
    assert 1 <= report.steps < report.planned_steps
    apply_adapter(fresh(folder), tmp_path / "candidate")
    assert run(folder, examples, tmp_path).resumed_at == report.steps


def test_no_step_begins_that_cannot_end_in_time(folder, examples, tmp_path, monkeypatch):
    """Steps of 4 s within 10 s: the third would end after 12."""
    passed, whole = [0.0], trainer._step

    def slow(*args):
        passed[0] += 4
        return whole(*args)

    monkeypatch.setattr(trainer, "_step", slow)
    report = run(folder, examples, tmp_path, seconds=10, clock=lambda: passed[0])
    assert (report.steps, report.seconds) == (2, 8.0)


def test_too_little_memory_is_a_user_error(folder, examples, tmp_path, monkeypatch):
    def exhausted(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(trainer, "_step", exhausted)
    with pytest.raises(ModelError, match="not enough memory"):
        run(folder, examples, tmp_path)


def test_learning_rate_decay_lowers_the_rate_to_the_end(folder, examples, tmp_path):
    decay = Decay(begin=2, steps=3)
    assert [decay.rate(step) for step in (0, 2, 3, 5)] == pytest.approx([1, 1, 2 / 3, 0])
    report = train_adapter(
        fresh(folder), examples, RECIPE, model_name="tiny", work=tmp_path, decay=decay
    )
    assert (report.steps, report.planned_steps, report.stopped) == (5, 5, False)


def test_training_continues_from_another_adapter(folder, examples, tmp_path):
    run(folder, examples, tmp_path / "a")
    candidate = tmp_path / "a" / "candidate"
    losses = []
    none = TrainingRecipe(rank=4, epochs=1, batch=14, learning_rate=0.0, micro_tokens=256)
    first = run(folder, examples, tmp_path / "b", none, on_loss=lambda s, x: losses.append(x))
    run(folder, examples, tmp_path / "c", none, start=candidate,
        on_loss=lambda s, x: losses.append(x))  # fmt: skip
    assert first.steps == 1
    assert losses[1] < losses[0]
    before, after = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_continuing_from_an_adapter_of_another_rank_is_refused(folder, examples, tmp_path):
    run(folder, examples, tmp_path / "a")
    other = TrainingRecipe(rank=8, epochs=1, batch=14)
    with pytest.raises(ModelError, match="cannot continue from adapter"):
        run(folder, examples, tmp_path / "b", other, start=tmp_path / "a" / "candidate")


def test_continuing_from_a_damaged_adapter_is_refused(folder, examples, tmp_path):
    run(folder, examples, tmp_path / "a")
    file = tmp_path / "a" / "candidate" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot continue from adapter"):
        run(folder, examples, tmp_path / "b", start=tmp_path / "a" / "candidate")
