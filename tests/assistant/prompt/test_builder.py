"""Prompts stay within the budget, keep the current line, and use the family's control tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.prompt.builder import Budget, build_prompt
from git_copilot.assistant.prompt.fim import FORMATS, detect_fim, family_of
from git_copilot.index.core.types import Hit

FIRST_CONTROL = 1000


class ByteTokenizer:
    """One token per byte; control tokens count up from 1000."""

    def __init__(self, fim=None):
        self.fim = fim
        self.names = {}
        self.begin_ids = (self.control(fim.begin),) if fim and fim.begin else ()

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(ids).decode(errors="replace")

    def control(self, token):
        return self.names.setdefault(token, FIRST_CONTROL + len(self.names))

    def show(self, ids):
        names = {v: k for k, v in self.names.items()}
        out, run = [], bytearray()
        for i in ids:
            if i in names:
                out += [run.decode(), names[i]]
                run = bytearray()
            else:
                run.append(i)
        return "".join([*out, run.decode()])


def fim(family):
    return next(f for f in FORMATS if f.family == family)


def snippet(path, text):
    return Hit(1, path, "0" * 40, 1, 2, text, 0.5, ("lexical",))


def build(tokenizer, prefix="a = 1\nb = ", suffix="\nc = 3\n", snippets=(), budget=None, **more):
    return build_prompt(
        tokenizer,
        path="m.py",
        language="python",
        prefix=prefix,
        suffix=suffix,
        snippets=snippets,
        budget=budget or Budget(4000, 1000, 500),
        **more,
    )


def test_left_to_right_prompts_show_snippets_as_comments():
    tokenizer = ByteTokenizer()
    prompt = build(
        tokenizer, snippets=[snippet("best.py", "def f():\n\n    x\n"), snippet("second.py", "y")]
    )
    assert tokenizer.show(prompt.ids) == (
        "# second.py\n# y\n# best.py\n# def f():\n#     x\n# m.py\na = 1\nb = "
    )
    assert prompt.mode == "left-to-right"
    assert [h.path for h, _ in prompt.snippets] == ["best.py", "second.py"]


def test_psm_with_repository_level_tokens():
    tokenizer = ByteTokenizer(fim("qwen2.5-coder"))
    prompt = build(tokenizer, snippets=[snippet("o.py", "y = 2\n")], repository="repo")
    assert tokenizer.show(prompt.ids) == (
        "<|repo_name|>repo\n<|file_sep|>o.py\ny = 2\n<|file_sep|>m.py\n"
        "<|fim_prefix|>a = 1\nb = <|fim_suffix|>\nc = 3\n<|fim_middle|>"
    )


def test_spm_puts_the_prefix_last():
    tokenizer = ByteTokenizer(fim("codestral"))
    prompt = build(tokenizer)
    assert prompt.mode == "spm"
    assert tokenizer.show(prompt.ids) == "<s>[SUFFIX]\nc = 3\n[PREFIX]+++++ m.py\na = 1\nb = "


def test_families_without_file_tokens_get_the_context_in_the_prefix():
    tokenizer = ByteTokenizer(fim("codellama"))
    prompt = build(tokenizer, snippets=[snippet("o.py", "y = 2\n")])
    assert tokenizer.show(prompt.ids) == (
        "<s>▁<PRE># o.py\n# y = 2\n# m.py\na = 1\nb = ▁<SUF>\nc = 3\n▁<MID>"
    )


def test_other_files_have_text_headers_where_the_family_uses_them():
    tokenizer = ByteTokenizer(fim("deepseek-coder"))
    prompt = build(tokenizer, snippets=[snippet("o.py", "y = 2\n")])
    assert tokenizer.show(prompt.ids) == (
        "<｜begin▁of▁sentence｜><｜fim▁begin｜>#o.py\ny = 2\n\n#m.py\na = 1\nb = "
        "<｜fim▁hole｜>\nc = 3\n<｜fim▁end｜>"
    )


def test_starcoders_name_the_file_behind_the_prefix_token():
    tokenizer = ByteTokenizer(fim("starcoder2"))
    prompt = build(tokenizer, snippets=[snippet("o.py", "y = 2\n")], repository="repo")
    assert tokenizer.show(prompt.ids) == (
        "<repo_name>repo<file_sep>o.py\ny = 2\n<file_sep><fim_prefix>m.py\na = 1\nb = "
        "<fim_suffix>\nc = 3\n<fim_middle>"
    )
    tokenizer = ByteTokenizer(fim("starcoder"))
    assert tokenizer.show(build(tokenizer, repository="repo").ids) == (
        "<fim_prefix><reponame>repo<filename>m.py\na = 1\nb = <fim_suffix>\nc = 3\n<fim_middle>"
    )


@pytest.mark.parametrize("family", [f.family for f in FORMATS])
def test_every_family_has_its_control_tokens_once_and_in_order(family):
    tokenizer = ByteTokenizer(fim(family))
    ids = build(tokenizer).ids
    form = fim(family)
    order = [form.prefix, form.suffix, form.middle]
    if form.order == "spm":
        order = [form.suffix, form.prefix, form.middle]
    wanted = [tokenizer.control(t) for t in order if t]
    assert [i for i in ids if i in wanted] == wanted


def test_an_empty_suffix_gives_a_left_to_right_prompt():
    assert build(ByteTokenizer(fim("starcoder2")), suffix="\n  \n").mode == "left-to-right"


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        (["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>", "<|repo_name|>", "<|file_sep|>"], "qwen2.5-coder"),
        (["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>", "<repo_name>", "<file_sep>"], "starcoder2"),
        (["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>", "<filename>", "<reponame>"], "starcoder"),
        (["<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<|endoftext|>"], "santacoder"),
        (["▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "<s>", "</s>"], "codellama"),
        (["[PREFIX]", "[SUFFIX]", "<s>", "</s>"], "codestral"),
        (["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>"], "deepseek-coder"),
        (["<|endoftext|>", "<repo_name>", "<file_sep>"], None),
    ],
)  # fmt: skip
def test_the_fim_format_is_detected_from_the_special_tokens(tokens, wanted):
    found = detect_fim({t: i for i, t in enumerate(tokens)})
    assert (found.family if found else None) == wanted


def test_mellum_is_distinguished_from_starcoder_by_name():
    tokens = [
        "<fim_prefix>",
        "<fim_suffix>",
        "<fim_middle>",
        "<|endoftext|>",
        "<filename>",
        "<reponame>",
    ]
    vocabulary = {t: i for i, t in enumerate(tokens)}
    assert detect_fim(vocabulary).order == "psm"
    found = detect_fim(vocabulary, family_of("JetBrains/Mellum-4b-base"))
    assert (found.family, found.order) == ("mellum", "spm")


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=400)


@given(
    TEXT,
    TEXT,
    st.sampled_from([None, "starcoder2", "mellum", "qwen2.5-coder"]),
    st.integers(80, 400),
)
def test_never_over_budget_and_the_end_of_the_prefix_is_kept(prefix, suffix, family, size):
    tokenizer = ByteTokenizer(fim(family) if family else None)
    prompt = build(
        tokenizer,
        prefix,
        suffix,
        [snippet("o.py", "def helper():\n    return 1\n")],
        Budget(size, size // 3, size // 5),
        repository="r",
    )
    assert len(prompt.ids) <= size
    last_line = prefix.rpartition("\n")[2].encode()[-20:]
    cursor = (
        prompt.ids.index(tokenizer.control(tokenizer.fim.suffix)) if prompt.mode == "psm" else None
    )
    text = bytes(i for i in prompt.ids[:cursor] if i < FIRST_CONTROL)
    assert (text + prompt.forced_prefix.encode()).endswith(last_line)


def test_the_prompt_start_is_stable_while_typing():
    tokenizer = ByteTokenizer()
    lines = "".join(f"line_{i} = {i}\n" for i in range(100))
    budget = Budget(700, 0, 0)
    before = build(tokenizer, lines + "x = ", "", budget=budget).ids
    after = build(tokenizer, lines + "x = foo", "", budget=budget).ids
    assert after[: len(before)] == before


@pytest.mark.parametrize("family", [None, "qwen2.5-coder", "starcoder2", "codestral"])
def test_the_current_line_has_priority_over_snippets_and_suffix(family):
    tokenizer = ByteTokenizer(fim(family) if family else None)
    line = "x = " + "call(argument) + " * 12
    many = [snippet(f"{i}.py", "def helper():\n    return 1\n") for i in range(9)]
    for size in (120, 200, 240, 300, 400, 900):
        prompt = build(
            tokenizer, "a = 1\n" * 50 + line, "\nb = 2\n" * 50, many, Budget(size, size, size)
        )
        assert len(prompt.ids) <= size
        text = bytes(i for i in prompt.ids if i < FIRST_CONTROL).decode()
        assert line[-(size - 60) :] in text
        controls = [i for i in prompt.ids if i >= FIRST_CONTROL]
        wanted = (
            [] if family is None else [t for t in (fim(family).prefix, fim(family).suffix) if t]
        )
        assert all(tokenizer.control(token) in controls for token in wanted)


def test_separators_stand_between_files_only():
    tokenizer = ByteTokenizer(fim("codegemma"))
    tail = "m.py\n<|fim_prefix|>a = 1\nb = <|fim_suffix|>\nc = 3\n<|fim_middle|>"
    assert tokenizer.show(build(tokenizer).ids) == f"<bos>{tail}"
    prompt = build(tokenizer, snippets=[snippet("o.py", "y = 2\n")])
    assert tokenizer.show(prompt.ids) == f"<bos>o.py\ny = 2\n<|file_separator|>{tail}"


@pytest.mark.parametrize("room", [120, 192, 300, 640, 1024])
def test_most_of_any_budget_is_used_and_the_start_holds_while_a_line_is_typed(room):
    lines = [f"x = {i:04}\n" for i in range(400)]  # nine tokens each
    budget = Budget(room, 0, 0)
    sizes, starts = [], []
    for count in range(300, 332):
        prefix = "".join(lines[:count]) + "y"
        first, second = (
            build(ByteTokenizer(), prefix + more, suffix="", budget=budget, healing=False)
            for more in ("", " =")
        )
        sizes.append(len(first.ids))
        starts.append(first.ids[:40])
        assert second.ids[: len(first.ids)] == first.ids or len(first.ids) > room - 8
    assert sum(sizes) / len(sizes) > 0.75 * room
    assert min(sizes) > 0.6 * room
    if room >= 640:
        assert len(set(starts)) <= 3  # every sixteenth line begins elsewhere
