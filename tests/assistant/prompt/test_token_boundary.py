"""The end of a prompt is cut as the tokenizer would cut it with more text behind, for each kind of
tokenizer, and what is left out is what the completion must begin with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.prompt.approximate_tokenizer import ApproximateTokenizer
from git_copilot.assistant.prompt.builder import Budget, build_prompt
from git_copilot.assistant.prompt.fim import FORMATS
from git_copilot.assistant.prompt.token_boundary import TokenBoundary, find_token_boundary
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from tests.support.model_families import FAMILIES, make_tokenizer

TABS = "func f() {\n\tif a {\n\t\treturn b\n\t\treturn c\n\t}\n\t\t\treturn total\n}\n"
CODE = (TABS + TABS.replace("\t", "    ")) * 4
CONTROLS = ("<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>")
# As in Qwen2.5-Coder's tokenizer.json (and cl100k): any one character may stand before letters.
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def trained(tokenizer, size=400):
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<unk>", *CONTROLS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CODE], trainer)
    return TextTokenizer(
        SimpleNamespace(backend_tokenizer=tokenizer, bos_token_id=None, eos_token_id=1)
    )


@pytest.fixture(scope="module")
def gpt2():
    """The byte-level BPE of StarCoder, SmolLM2 and our models."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return trained(tokenizer)


@pytest.fixture(scope="module")
def qwen():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return trained(tokenizer)


@pytest.fixture(scope="module")
def sentencepiece():
    """Code Llama's: spaces as `▁`, runs of them merged, bytes as fallback."""
    return TextTokenizer(make_tokenizer(next(f for f in FAMILIES if f.family == "codellama")))


@pytest.fixture(params=["gpt2", "qwen", "sentencepiece"])
def tokenizer(request):
    return request.getfixturevalue(request.param)


def spelt(tokenizer, ids):
    return [tokenizer.decode([i]) for i in ids]


def test_the_last_tab_is_its_own_token_where_words_do_not_absorb_it(gpt2):
    text = "func f() {\n\tif a {\n\t\t"
    assert spelt(gpt2, gpt2.encode(text))[-1] == "\n\t\t"  # else nothing is tested here
    ids, lead = TokenBoundary().encode(gpt2, text)
    assert (spelt(gpt2, ids)[-2:], lead) == (["\n\t", "\t"], "")
    assert ids == gpt2.encode(f"{text}return b")[: len(ids)]


def test_the_last_tab_is_left_to_the_completion_where_words_absorb_it(qwen):
    text = "func f() {\n\tif a {\n\t\t"
    assert "\treturn" in spelt(qwen, qwen.encode(f"{text}return b"))
    ids, lead = TokenBoundary().encode(qwen, text)
    assert (qwen.decode(ids), lead) == (text[:-1], "\t")
    assert ids == qwen.encode(f"{text}return b")[: len(ids)]


def test_without_healing_the_prompt_is_encoded_as_it_stands(qwen, gpt2):
    text = "func f() {\n\tif a {\n\t\t"
    assert TokenBoundary(healing=False).encode(qwen, text) == (qwen.encode(text), "")
    assert find_token_boundary("x = reto", "\n", healing=False) == TokenBoundary(healing=False)
    ids, _ = TokenBoundary(healing=False).encode(gpt2, text)
    assert spelt(gpt2, ids)[-1] == "\t"  # nothing is left out there


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_tokens_after_tabs_are_those_of_a_whole_file(tokenizer, count):
    text = "func f() {\n" + "\t" * count
    ids, lead = TokenBoundary().encode(tokenizer, text)
    assert tokenizer.decode(ids) + lead == text
    assert tokenizer.encode(f"{text}return b")[: len(ids)] == ids


def test_trailing_spaces_stay_in_the_prompt_of_fim_models(tokenizer):
    for text in ("if a {\n    ", "if a {\n        ", "x = ", "a\n\n", ""):
        assert TokenBoundary().encode(tokenizer, text) == (tokenizer.encode(text), "")


def test_a_partial_word_is_left_to_the_completion(tokenizer):
    prefix = "if a {\n    x = reto"
    seam = find_token_boundary(prefix, "\n}\n")
    ids, lead = seam.encode(tokenizer, prefix)
    assert lead.strip() == "reto" and tokenizer.decode(ids) + lead == prefix
    # Of a name of several words the last one.
    prefix = "if a {\n    my_reto"
    _, lead = find_token_boundary(prefix, "\n}\n").encode(tokenizer, prefix)
    assert lead.lstrip("_") == "reto"


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [
        ("total = 1\nx = total", "\n"),  # whole: it stands there a second time
        ("x = total", "\ntotal = 2\n"),
        ("x = tot", "al\n"),  # the cursor is inside a word
        ("x = ", "\n"),
        ("f(", ")\n"),
        ("x = " + "a1" * 40, "\n"),  # no word
        ("x_", "\n"),
        ("", "\n"),
    ],
)
def test_complete_words_and_other_text_stay_in_the_prompt(prefix, suffix):
    assert find_token_boundary(prefix, suffix) == TokenBoundary()


@given(st.text("ab_ \t\n({éЖ漢", max_size=24), st.sampled_from(["\n", "b\n", "):\n"]))
def test_prompt_tokens_and_forced_prefix_make_up_any_prefix(prefix, suffix):
    tokenizer = _gpt2_once()
    ids, lead = find_token_boundary(prefix, suffix).encode(tokenizer, prefix)
    assert prefix.endswith(lead) and tokenizer.decode(ids) + lead == prefix
    assert ids or not prefix


_KEPT = []


def _gpt2_once():
    if not _KEPT:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        _KEPT.append(trained(tokenizer))
    return _KEPT[0]


@pytest.mark.parametrize("suffix", ["\n}\n", ""], ids=["in the middle", "left to right"])
@pytest.mark.parametrize("prefix", ["func f() {\n\t\t", "func f() {\n\treto"])
def test_prompt_and_forced_prefix_are_the_text_before_the_cursor(qwen, prefix, suffix):
    prompt = build_prompt(
        qwen, path="a.go", language="go", prefix=prefix, suffix=suffix, snippets=(),
        budget=Budget(300, 0, 50),
    )  # fmt: skip
    assert prompt.forced_prefix
    middle = qwen.control(qwen.fim.suffix) if suffix else None
    end = prompt.ids.index(middle) if middle is not None else len(prompt.ids)
    shown = qwen.decode(list(prompt.ids[:end]))
    assert shown.endswith("a.go\n" + prefix.removesuffix(prompt.forced_prefix))
    assert prompt.shown[0] == len(prefix)


def test_training_examples_have_the_same_token_boundary_as_prompts(qwen):
    data = b"func f() {\n\tif a {\n\t\treturn b\n\t}\n}\n"
    start = data.index(b"return")
    hole = Hole("c", "b", "a.go", start, start + 8, "line", "", 0, "go")
    example = make_example(qwen, cut_blob(data, hole), (), Budget(300, 0, 50))
    assert example.prompt.forced_prefix == "\t"
    assert qwen.decode(list(example.middle_ids[:-1])) == "\treturn b"
    assert qwen.decode([example.middle_ids[0]]) == "\treturn"


def test_without_the_real_tokenizer_the_prompt_is_not_healed():
    tokenizer = ApproximateTokenizer(next(f for f in FORMATS if f.family == "qwen2.5-coder"))
    for prefix in ("if a {\n\t\t", "x = reto"):
        prompt = build_prompt(
            tokenizer, path="a.go", language="go", prefix=prefix, suffix="\n}\n", snippets=(),
            budget=Budget(300, 0, 50), healing=False,
        )  # fmt: skip
        assert not prompt.forced_prefix
        assert f"<|fim_prefix|>{prefix}<|fim_suffix|>" in tokenizer.spell(list(prompt.ids))
