"""What clients write around the text that they have is taken off again, and read."""

from __future__ import annotations

import pytest

from git_copilot.assistant.http.client_text import ClientText


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("# language: python\n# indentation: use 4 spaces for a tab\n", "python"),
        ("// language: go\n// indentation: use \t for a tab\n", "go"),
        ("<!-- language: html -->\n<!-- indentation: use 2 spaces for a tab -->\n", "html"),
        ("-- language: lua\n\n", "lua"),
    ],
)
def test_the_comments_of_minuet_name_the_language(header, language):
    text = ClientText.of(f"{header}first\nsecond", "\nthird", may_be_rendered=False)
    assert (text.prefix, text.suffix, text.language) == ("first\nsecond", "\nthird", language)


TWINNY = (
    "''' Language: Python (python) '''\n"
    "''' File uri: file:///home/me/my%20project/a.py (python) '''\n"
)  # fmt: skip


@pytest.mark.parametrize("context", ["", "'''other = 1\n'''"])
@pytest.mark.parametrize(
    "template",
    [
        "<PRE>{context} \n\n{header}{prefix} <SUF> {suffix} <MID>",
        "<fim_prefix>{context}\n\n{header}{prefix}<fim_suffix>{suffix}<fim_middle>",
        "{context}\n\n[SUFFIX]{suffix}[PREFIX]\n{header}{prefix}",
    ],
)
def test_the_comments_of_twinny_name_the_file(template, context):
    prompt = template.format(context=context, header=TWINNY, prefix="a = f(", suffix=")\nb = 2\n")
    text = ClientText.of(prompt, "", may_be_rendered=True)
    assert (text.prefix, text.suffix) == ("a = f(", ")\nb = 2\n")
    assert (text.path, text.language) == ("/home/me/my project/a.py", "python")


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "vscode-remote://ssh/home/me/a.py"])
def test_a_file_that_is_not_on_this_machine_has_no_path(uri):
    text = ClientText.of(f"// File uri: {uri} (go) \nx := ", "\n", may_be_rendered=True)
    assert (text.prefix, text.path, text.language) == ("x := ", None, "go")


def test_a_rendered_prompt_has_texts_and_files():
    prompt = (
        "<|repo_name|>shapes\n<|file_sep|>src/b.py\nbeta = 1\n<|file_sep|>src/a.py\n"
        "<|fim_prefix|>a = <|fim_suffix|>\nc<|fim_middle|>"
    )
    text = ClientText.of(prompt, "", may_be_rendered=True)
    assert (text.prefix, text.suffix, text.path) == ("a = ", "\nc", "src/a.py")
    assert [(each.path, each.text.strip()) for each in text.open_texts] == [
        ("src/b.py", "beta = 1")
    ]


@pytest.mark.parametrize(
    ("prompt", "rendered"),
    [
        ("a = 1\n# language: python is nice\n", True),
        ("x = '<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>'", False),
        ("", True),
    ],
)
def test_other_text_is_left_as_it_is(prompt, rendered):
    assert ClientText.of(prompt, "s", may_be_rendered=rendered) == ClientText(prompt, "s")
