"""A tiny model and examples to train it on."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.training.batches import TrainingRecipe
from git_copilot.assistant.training.trainer import train_adapter
from git_copilot.index.core.types import Hole
from tests.support.tiny_models import CODE, save_tiny

RECIPE = TrainingRecipe(
    rank=4, epochs=3, batch=4, learning_rate=5e-3, warmup_steps=2, micro_tokens=256
)


@pytest.fixture(scope="module", name="folder")
def tiny_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", name="examples")
def tiny_examples(folder):
    tokenizer = TextTokenizer.load(folder)
    data = (CODE * 4).encode()
    found = []
    for i in range(14):
        start = 9 + i * 31
        hole = Hole(f"c{i}", "b", "m.py", start, start + 3 + 4 * (i % 4), "line", "", 0, "python")
        found.append(make_example(tokenizer, cut_blob(data, hole), (), Budget(120, 40, 30)))
    return found


def fresh(folder, dtype=torch.float32):
    return load_model(folder, dtype=dtype)


def run(folder, examples, work, recipe=RECIPE, dtype=torch.float32, **more):
    return train_adapter(
        fresh(folder, dtype), examples, recipe, model_name="tiny", work=work, **more
    )
