"""The seeded model: spare tokens become sentinels, and it equals the base with its adapter."""

from __future__ import annotations

import pytest
import torch

from git_copilot.assistant.backend.loading import apply_adapter, load_model
from git_copilot.assistant.models.seed_adapter_files import make_seeded, rename_sentinels
from git_copilot.assistant.prompt.builder import Budget, build_prompt
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from tests.support.tiny_models import CODE, SPARE, adapter_of, save_tiny


@pytest.fixture
def base(tmp_path):
    return save_tiny(tmp_path / "base", specials=SPARE)


def test_the_seeded_model_equals_the_base_with_the_adapter(base, tmp_path):
    adapter = adapter_of(base, tmp_path / "adapter")
    make_seeded(base, tmp_path / "made", adapter)
    made = load_model(tmp_path / "made", dtype=torch.float32)
    expected = apply_adapter(load_model(base, dtype=torch.float32), adapter)
    ids = torch.tensor([TextTokenizer.load(base).encode(CODE)])
    with torch.inference_mode():
        ours, theirs, plain = (
            m(ids).logits for m in (made, expected, load_model(base, dtype=torch.float32))
        )
    # bf16 keeps 8 bits of a weight.
    assert (ours - theirs).abs().max() < 0.05 * theirs.abs().max()
    assert (plain - theirs).abs().max() > 0.2 * theirs.abs().max()


def test_sentinel_tokens_give_a_suffix_first_prompt(base, tmp_path):
    assert TextTokenizer.load(base).fim is None
    make_seeded(base, tmp_path / "made", adapter_of(base, tmp_path / "adapter"))
    tokenizer = TextTokenizer.load(tmp_path / "made")
    assert tokenizer.fim is not None and tokenizer.fim.family == "git-copilot"
    prompt = build_prompt(
        tokenizer,
        path="a.py",
        language="python",
        prefix="def area(",
        suffix="):\n    pass\n",
        snippets=(),
        budget=Budget(200, 0, 50),
        repository="shapes",
    )
    suffix, prefix = (tokenizer.control(f"<|copilot_{x}|>") for x in ("suffix", "prefix"))
    place = prompt.ids.index(suffix)
    assert tokenizer.decode(list(prompt.ids[place:])) == "):\n    pass\ndef area("
    assert prompt.ids.index(prefix) > place
    # The prefix ends the prompt: it is what training may also learn from.
    assert prompt.open_tokens == len(tokenizer.encode("def area("))
    assert tokenizer.encode("<|copilot_suffix|>")[0] != suffix


def test_seeding_refuses_a_tokenizer_without_spare_tokens(tmp_path):
    with pytest.raises(ValueError, match="no spare tokens"):
        rename_sentinels(save_tiny(tmp_path / "other"))
