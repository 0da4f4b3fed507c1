"""A tiny model that does not fill in the middle: fixtures, for modules to import."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.decoding.generation import Sampling
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from tests.support.tiny_models import save_tiny

LONG = Sampling(max_tokens=40)


@pytest.fixture(scope="module", name="folder")
def plain_folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", name="tokenizer")
def plain_tokenizer(folder):
    return TextTokenizer.load(folder)


@pytest.fixture(scope="module", name="model")
def plain_model(folder):
    return load_model(folder, dtype=torch.float32)
