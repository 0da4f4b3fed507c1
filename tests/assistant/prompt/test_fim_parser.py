"""Prompts that clients render are taken apart again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.prompt.fim import FORMATS
from git_copilot.assistant.prompt.fim_parser import RenderedPrompt, parse_fim

BY_FAMILY = {fim.family: fim for fim in FORMATS}


def render(fim, prefix, suffix):
    """As a client does it that knows no repository-level tokens."""
    if fim.order == "psm":
        return f"{fim.prefix}{prefix}{fim.suffix}{suffix}{fim.middle}"
    return f"{fim.suffix}{suffix}{fim.prefix}{prefix}{fim.middle}"


@pytest.mark.parametrize("family", sorted(BY_FAMILY))
@given(prefix=st.text("ab \n<>|", max_size=30), suffix=st.text("ab \n<>|", max_size=30))
def test_every_family_is_taken_apart(family, prefix, suffix):
    found = parse_fim(render(BY_FAMILY[family], prefix, suffix))
    if BY_FAMILY[family].middle:
        assert found == RenderedPrompt(prefix, suffix)
    else:  # nothing marks the end
        assert (found.prefix, found.suffix) == (prefix, suffix)


@pytest.mark.parametrize(
    ("prompt", "prefix", "suffix"),
    [
        ("<PRE> a\n <SUF>b\n <MID>", "a\n", "b\n"),
        ("<PRE>a<SUF>b<MID>", "a", "b"),
        ("[SUFFIX]b[PREFIX]a", "a", "b"),
        ("<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>\n", "a", "b"),
    ],
)
def test_as_editors_templates_write_them(prompt, prefix, suffix):
    found = parse_fim(prompt)
    assert (found.prefix, found.suffix) == (prefix, suffix)


@pytest.mark.parametrize(
    "text",
    ["", "def f():\n", "<|fim_prefix|>a", "uses <|fim_prefix|> and <|fim_suffix|> in a sentence",
     "<|fim_prefix|>a<|fim_middle|>", "<fim_middle><fim_prefix><fim_suffix>x"],
)  # fmt: skip
def test_other_texts_are_none(text):
    assert parse_fim(text) is None


def test_starcoders_name_stands_in_the_text():
    found = parse_fim("<fim_prefix><file_sep>app.py\nimport os\n<fim_suffix>end<fim_middle>")
    assert (found.path, found.prefix, found.suffix) == ("app.py", "import os\n", "end")


def test_files_before_the_text_have_names():
    found = parse_fim(
        "<|repo_name|>r\n<|file_sep|>a.py\na = 1\n<|file_sep|>b.py\nb = 1\n<|file_sep|>c.py\n"
        "<|fim_prefix|>x<|fim_suffix|>y<|fim_middle|>"
    )
    assert found.path == "c.py"
    assert found.files == (("a.py", "a = 1\n"), ("b.py", "b = 1\n"))
