"""The default model, really pulled: a completion that calls another file's function."""

from __future__ import annotations

import os

import pytest

from tests.support.commands import BIN, REAL_CACHE, REAL_HOME, Copilot

pytestmark = pytest.mark.model

HELPER = '''"""Times in the words of a person."""


def humanize_elapsed(seconds: float) -> str:
    """Return "350 ms", "12 s" or "3 min"."""
    return f"{seconds:.0f} s"
'''
CALLER = '''"""Tells the user what a job took."""

import time


def report_job(name: str, started: float) -> str:
    """One line about a job that just ended."""
    seconds = time.monotonic() - started
    took = humanize'''


@pytest.fixture
def copilot(repo, runtime, monkeypatch):
    """Commands with the user's real model cache, so that models are pulled once per machine."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("GIT_COPILOT_CACHE", REAL_CACHE)
    # pip's own configuration may lie in the real home.
    monkeypatch.setenv("HOME", REAL_HOME)
    commands = Copilot(repo.path)
    yield commands
    commands.run("serve", "--stop")


def test_a_completion_uses_the_function_of_the_last_commit(repo, copilot):
    repo.commit({"app.py": "import sys\n\nprint(sys.argv)\n"})
    copilot.ok("init")
    repo.commit({"elapsed.py": HELPER})
    copilot.ok("status", "--wait", "--timeout", "60")
    (repo.path / "report.py").write_text(CALLER)
    answer = copilot.json("complete", "report.py:9")
    assert answer["completion"].startswith("_elapsed(seconds")
    assert answer["snippets"][0]["path"] == "elapsed.py"
    again = copilot.json("complete", "report.py:9")
    assert again["completion"] == answer["completion"]
    assert again["cached_tokens"] == again["prompt_tokens"]


TABS = (
    ("a.go", "package a\n\nfunc Sum(v []int) int {\n\ttotal := 0\n\tfor _, x := range v {\n\t\t", "\n\t}\n\treturn total\n}\n"),
    ("a.py", "class Ledger:\n\tdef __init__(self):\n\t\tself.rows = []\n\n\tdef total(self):\n\t\t", "\n"),
    ("a.c", "static int list_len(struct node *head)\n{\n\tint n = 0;\n\twhile (head) {\n\t\t", "\n\t}\n\treturn n;\n}\n"),
    ("Makefile", "all: prog\n\nprog: main.o\n\t$(CC) -o $@ $^\n\nclean:\n\t", "\n"),
)  # fmt: skip


def test_after_tabs_the_completion_adds_no_indentation(repo, copilot):
    repo.commit({"a.txt": "x\n"})
    copilot.ok("init")
    repo.git("config", "copilot.confidence", "0")  # whatever is written
    for name, before, after in TABS:
        (repo.path / name).write_text(before + after)
        line = before.count("\n") + 1
        answer = copilot.json("complete", f"{name}:{line}")
        first, *more = answer["completion"].split("\n")
        assert first and not first[0].isspace(), (name, answer["completion"])
        assert not [x for x in more if x.startswith(" ")], (name, answer["completion"])


def test_a_partial_word_is_completed_to_a_name_of_another_file(repo, copilot):
    """The partial word is not in the prompt, so each key reuses the prefilled prompt."""
    repo.commit({"elapsed.py": HELPER})
    copilot.ok("init")
    for typed in ("hum", "humani", "humanize_el"):
        (repo.path / "report.py").write_text(CALLER.removesuffix("humanize") + typed)
        answer = copilot.json("complete", "report.py:9")
        rest = "humanize_elapsed(seconds".removeprefix(typed)
        assert answer["completion"].startswith(rest), (typed, answer["completion"])
    assert answer["cached_tokens"] >= answer["prompt_tokens"] - 4


def test_the_model_folder_loads_in_transformers(repo, copilot):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    repo.commit({"a.py": "x = 1\n"})
    copilot.ok("init")
    folder = copilot.ok("model", "path").strip()
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.num_parameters() == 134_515_008
    assert AutoTokenizer.from_pretrained(folder).decode([0]) == "<|endoftext|>"
