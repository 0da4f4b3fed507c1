"""Tiny real models: a Llama of two layers and a byte-level BPE, saved to a folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
# Those of SmolLM2 that the seeded model turns into sentinels, and two others.
SPARE = ("<repo_name>", "<file_sep>", "<jupyter_start>", "<jupyter_text>")
FIM_TOKENS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<reponame>", "<filename>")
# Makes a file incomplete: what a random model writes into a complete one is dropped.
UNFINISHED = "\n\nunfinished = (\n"
CODE = (
    "def area(width, height):\n    return width * height\n\n\n"
    "class Shape:\n    def __init__(self, name):\n        self.name = name\n"
)


@cache
def _bytes(specials: tuple[str, ...]) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CODE], trainer)
    return tokenizer.to_str()


def save_tiny(
    folder: Path,
    *,
    fim: bool = False,
    seed: int = 0,
    layers: int = 2,
    specials: tuple[str, ...] = (),
) -> Path:
    """Write a random model (float32) and its tokenizer, with StarCoder's FIM tokens or with other
    special tokens if wanted."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = (END, *(FIM_TOKENS if fim else specials))
    fast = Tokenizer.from_str(_bytes(specials))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, eos_token=END)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=fast.get_vocab_size(),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        # Larger than usual: a random model should have clear preferences, not ties.
        initializer_range=0.2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adapter_of(base: Path, folder: Path, seed: int = 0) -> Path:
    """Write an adapter (rank 4) that changes the output of a tiny model."""
    import torch

    from git_copilot.assistant.backend.loading import load_model
    from git_copilot.assistant.training.lora import add_adapter, save_adapter

    model = add_adapter(load_model(base, dtype=torch.float32), 4, seed=seed)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    save_adapter(model, folder, "base")
    return folder
