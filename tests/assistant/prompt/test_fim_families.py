"""Every model family: detected by its special tokens, prompted in the format it was trained on."""

from __future__ import annotations

import pytest

from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.decoding.token_healing import heal_prompt
from git_copilot.assistant.prompt.builder import Budget, build_prompt
from git_copilot.assistant.prompt.fim import FORMATS
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.types import Hit
from tests.support.model_families import FAMILIES, SENTENCE_PIECE, Family, save_family

TEXTS = (
    "", " ", "  x", " + b", "a", "\tb = 1\n", "\n\n  y", "ns_of(x)", "é, ☺ and 漢字 🙂\n",
    "  \n", "def f(a):\n    return a  # end\n",
)  # fmt: skip
PREFIX = "import os\n\n\ndef area(width):\n    total = wid"
SUFFIX = "\n    return total\n"
BUDGET = Budget(1000, 400, 200)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda f: f.name)
def loaded(request, tmp_path_factory):
    family: Family = request.param
    folder = save_family(family, tmp_path_factory.mktemp("families"))
    return family, folder, TextTokenizer.load(folder, family.name)


def build(tokenizer, prefix=PREFIX, suffix=SUFFIX, budget=BUDGET):
    hit = Hit(1, "other.py", "0" * 40, 1, 2, "def helper():\n    return 1\n", 0.5, ("lexical",))
    return build_prompt(
        tokenizer, path="m.py", language="python", prefix=prefix, suffix=suffix,
        snippets=[hit], budget=budget, repository="repo",
    )  # fmt: skip


def test_every_fim_format_is_tested_on_a_model():
    untested = {f.family for f in FORMATS} - {f.family for f in FAMILIES}
    assert untested == {"stable-code"}  # StarCoder's tokens without names


def test_the_fim_format_is_detected_and_can_be_set(loaded):
    family, folder, tokenizer = loaded
    assert tokenizer.fim.family == family.family
    assert TextTokenizer.load(folder, family.name, "none").fim is None
    assert TextTokenizer.load(folder, "any", family.family).fim.family == family.family
    other = next(f for f in ("santacoder", "seed-coder") if f != family.family)
    with pytest.raises(ModelError, match="no tokens of"):
        TextTokenizer.load(folder, family.name, other)


@pytest.mark.parametrize("text", TEXTS)
def test_encoding_and_decoding_round_trips(loaded, text):
    _, _, tokenizer = loaded
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_no_space_is_inserted_in_the_middle_of_a_line(loaded):
    _, _, tokenizer = loaded
    for left, right in (("    x = fo", "o(a)"), ("a", " + b"), ("f(", "  c)"), ("\n", "    d")):
        assert tokenizer.decode([*tokenizer.encode(left), *tokenizer.encode(right)]) == left + right


def test_prompt_parts_are_in_the_order_the_model_was_trained_on(loaded):
    family, _, tokenizer = loaded
    form = tokenizer.fim
    prompt = build(tokenizer)
    ids = list(prompt.ids)
    assert prompt.mode == form.order
    wanted = [form.prefix, form.suffix, form.middle]
    if form.order == "spm":
        wanted = [form.suffix, form.prefix, form.middle]
    controls = [tokenizer.control(name) for name in wanted if name]
    assert [i for i in ids if i in controls] == controls
    places = [ids.index(i) for i in controls]
    parts = {
        name: tokenizer.decode(ids[place + 1 : end])
        for name, place, end in zip(
            [w for w in wanted if w], places, [*places[1:], len(ids)], strict=True
        )
    }
    assert parts[form.suffix] == SUFFIX
    assert prompt.forced_prefix.strip() == "wid"  # half a word is written together with its rest
    shown = PREFIX.removesuffix(prompt.forced_prefix)
    assert parts[form.prefix].endswith(shown)
    head = parts[form.prefix].removesuffix(shown)
    assert ("m.py" in head) == (form.inside or not form.file)
    assert tokenizer.decode(ids).count("def helper():\n") == 1
    if family.begin:
        assert ids[0] == tokenizer.control(family.begin) and ids.count(ids[0]) == 1


def test_control_tokens_in_the_users_text_are_text(loaded):
    family, _, tokenizer = loaded
    written = "".join(f"{name} {name}\n" for name in family.special)
    if family.tokenizer in SENTENCE_PIECE:
        written = written.replace("▁", " ")  # its way to write a space
    prompt = build(tokenizer, f"# {written}x = ", f"\n# {written}")
    plain = build(tokenizer)
    special = [tokenizer.control(name) for name in family.special]
    assert [i for i in prompt.ids if i in special] == [i for i in plain.ids if i in special]
    assert tokenizer.decode(tokenizer.encode(written)) == written


def test_an_empty_suffix_gives_a_left_to_right_prompt(loaded):
    _, _, tokenizer = loaded
    prompt = build(tokenizer, suffix="\n\n")
    assert prompt.left_to_right
    assert f"{tokenizer.decode(list(prompt.ids))}{prompt.forced_prefix}".endswith(PREFIX)
    ours = {tokenizer.control(n) for n in (tokenizer.fim.prefix, tokenizer.fim.suffix)}
    assert ours.isdisjoint(prompt.ids)


def test_a_small_budget_keeps_control_tokens_and_the_current_line(loaded):
    _, _, tokenizer = loaded
    whole = [i for i in build(tokenizer).ids if i in controls_of(tokenizer)]
    lines = "".join(f"line_{i} = {i}\n" for i in range(300))
    prompt = build(tokenizer, lines + PREFIX, SUFFIX + lines, Budget(160, 0, 40))
    assert len(prompt.ids) <= 160
    ids = [i for i in prompt.ids if i in controls_of(tokenizer)]
    # Without snippets there is one file less to head.
    separator = {tokenizer.control(tokenizer.fim.file)} if tokenizer.fim.separates else set()
    assert set(ids) == set(whole) - separator and all(ids.count(i) <= whole.count(i) for i in ids)
    line = PREFIX.rpartition("\n")[2].removesuffix(prompt.forced_prefix)
    assert line in tokenizer.decode(list(prompt.ids))


def controls_of(tokenizer):
    return {tokenizer.control(name) for name in tokenizer.fim.controls}


def test_the_model_continues_the_prompt(loaded):
    family, folder, _ = loaded
    engine = Engine.load(folder, name=family.name)
    prompt = build(engine.tokenizer)
    first = engine.generate(GenerationRequest(prompt.ids, Sampling(max_tokens=6)))
    again = engine.generate(GenerationRequest(prompt.ids, Sampling(max_tokens=6)))
    assert first.text == again.text and 0 <= first.tokens <= 6
    healed, lead = heal_prompt(engine.tokenizer, prompt, PREFIX)
    assert (healed, lead) == (prompt, prompt.forced_prefix)
    more = engine.generate(
        GenerationRequest(healed.ids, Sampling(max_tokens=6), forced_prefix=lead)
    )
    whole = engine.tokenizer.decode(list(more.ids))
    assert whole.startswith(lead) and more.finish in ("stop", "length")
