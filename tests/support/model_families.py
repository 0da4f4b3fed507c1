"""A tiny model of each family of fim.py, from the family's own configuration and tokenizer classes
and its own special tokens. Weights and vocabulary are made here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.support.tiny_models import CODE

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
STAR = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
FIM_PIPES = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>")


@dataclass(frozen=True)
class Family:
    """``name`` is that of a model, ``special`` its special tokens; the first ends a text."""

    family: str
    name: str
    config: str
    tokenizer: str
    special: tuple[str, ...]
    begin: str = ""
    sizes: tuple[tuple[str, object], ...] = tuple(SIZES.items())


BIG_CODE = (("n_embd", 32), ("n_inner", 64), ("n_layer", 2), ("n_head", 4), ("n_positions", 2048))
# All layers attention and no experts: what a dense granite-4 is, without Mamba's kernels.
HYBRID = (
    *SIZES.items(), ("layer_types", ["attention", "attention"]), ("num_local_experts", 0),
    ("shared_intermediate_size", 64), ("mamba_n_heads", 8), ("mamba_d_head", 8), ("position_embedding_type", "rope"),
)  # fmt: skip
FAMILIES = (
    Family("qwen2.5-coder", "Qwen2.5-Coder-0.5B", "Qwen2Config", "Qwen2Tokenizer",
           ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *FIM_PIPES, "<|repo_name|>", "<|file_sep|>")),
    Family("starcoder2", "starcoder2-3b", "Starcoder2Config", "GPT2Tokenizer",
           ("<|endoftext|>", *STAR, "<repo_name>", "<file_sep>", "<issue_start>")),
    Family("starcoder", "tiny_starcoder_py", "GPTBigCodeConfig", "GPT2Tokenizer",
           ("<|endoftext|>", *STAR, "<filename>", "<gh_stars>", "<reponame>"), sizes=BIG_CODE),
    Family("santacoder", "santacoder", "GPTBigCodeConfig", "GPT2Tokenizer",
           ("<|endoftext|>", "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>"), sizes=BIG_CODE),
    Family("mellum", "Mellum-4b-base", "LlamaConfig", "GPT2Tokenizer",
           ("<|endoftext|>", *STAR, "<filename>", "<gh_stars>", "<reponame>")),
    Family("granite", "granite-3b-code-base-2k", "LlamaConfig", "GPT2Tokenizer",
           ("<|endoftext|>", *STAR, "<filename>", "<gh_stars>", "<reponame>")),
    Family("granite-4", "granite-4.0-h-tiny", "GraniteMoeHybridConfig", "GPT2Tokenizer",
           ("<|end_of_text|>", *FIM_PIPES), sizes=HYBRID),
    Family("deepseek-coder", "deepseek-coder-1.3b-base", "LlamaConfig", "PreTrainedTokenizerFast",
           ("<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
           "<｜begin▁of▁sentence｜>"),
    Family("seed-coder", "Seed-Coder-8B-Base", "LlamaConfig", "PreTrainedTokenizerFast",
           ("<[end▁of▁sentence]>", "<[begin▁of▁sentence]>", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"),
           "<[begin▁of▁sentence]>"),
    Family("codellama", "CodeLlama-7b-hf", "LlamaConfig", "CodeLlamaTokenizer",
           ("</s>", "<s>", "▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"), "<s>"),
    Family("codestral", "Codestral-22B-v0.1", "MistralConfig", "LlamaTokenizer",
           ("</s>", "<s>", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"), "<s>"),
    Family("codegemma", "codegemma-2b", "GemmaConfig", "GemmaTokenizer",
           ("<eos>", "<bos>", *FIM_PIPES[:3], "<|file_separator|>"), "<bos>",
           (*SIZES.items(), ("head_dim", 8))),
    Family("git-copilot", "copilot-135m-v5", "LlamaConfig", "GPT2Tokenizer",
           ("<|endoftext|>", "<repo_name>", "<file_sep>", "<|copilot_prefix|>", "<|copilot_suffix|>")),
)  # fmt: skip
SENTENCE_PIECE = ("CodeLlamaTokenizer", "LlamaTokenizer", "GemmaTokenizer")


@cache
def _trained(special: tuple[str, ...], pieces: bool) -> str:
    """A small BPE over bytes, or over characters with spaces as `▁` and bytes as fallback."""
    if pieces:
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        first = ("<unk>", *special, *(f"<0x{i:02X}>" for i in range(256)))
        alphabet: list[str] = []
        lines = CODE.split("\n")
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        first, alphabet, lines = special, pre_tokenizers.ByteLevel.alphabet(), [CODE]
    trainer = trainers.BpeTrainer(
        vocab_size=len(first) + 340,
        special_tokens=list(first),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return str(tokenizer.to_str())


def make_tokenizer(family: Family):
    """The family's tokenizer class over a small vocabulary."""
    import transformers

    pieces = family.tokenizer in SENTENCE_PIECE
    text = _trained(family.special, pieces)
    names = {"eos_token": family.special[0]} | ({"bos_token": family.begin} if family.begin else {})
    others = [t for t in family.special if t not in names.values()]
    cls = getattr(transformers, family.tokenizer)
    if family.tokenizer == "PreTrainedTokenizerFast":
        made = cls(tokenizer_object=Tokenizer.from_str(text), **names)
    else:
        model = json.loads(text)["model"]
        merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
        made = cls(vocab=model["vocab"], merges=merges, **names)
    made.add_special_tokens({"additional_special_tokens": others})
    return made


def save_family(family: Family, parent: Path) -> Path:
    """A folder with a random model of the family's architecture."""
    import torch
    import transformers

    folder = parent / family.name
    tokenizer = make_tokenizer(family)
    torch.manual_seed(0)
    config = getattr(transformers, family.config)(
        **dict(family.sizes),
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
        initializer_range=0.2,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
