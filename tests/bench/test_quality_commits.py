"""bench/quality.py --repo: holes of real commits, evaluated with and without snippets."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import no_progress
from tests.support.tiny_models import save_tiny

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    quality = importlib.import_module("quality")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"), fim=True)


@pytest.mark.slow
def test_holes_of_commits_are_measured_with_and_without_snippets(repo, folder, capsys):
    repo.commit({"util.py": "def combine(first, second):\n    return first + second * 2\n"})
    for name in ("alpha", "beta", "gamma"):
        body = f"from util import combine\n\n\ndef {name}(value, other):\n"
        repo.commit({f"{name}.py": body + "    total = combine(value, other)\n    return total\n"})
    arguments = ["--repo", str(repo.path), "--model", str(folder), "--limit", "5", "--json"]
    assert quality.main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    (found,) = result["repositories"].values()
    assert 0 < found["holes"] <= 5
    assert 0 < found["commits"] <= found["holes"]
    assert found["with_snippets"] > 0
    assert found["retrieval"]["prompt_tokens"] > found["plain"]["prompt_tokens"]
    assert found["plain"]["bits_per_byte"] > 0
    assert quality.main([*arguments[:-1]]) == 0
    assert "+ snippets" in capsys.readouterr().out


@pytest.mark.slow
def test_rest_of_line_holes_start_at_a_token_of_any_line(repo, folder, capsys):
    rows = "".join(f"    total_{i} = combine(wért, {i}) + other\n" for i in range(40))
    repo.commit({"run.py": f"def run(wért, other):\n{rows}\n\n    return\n", "a.txt": "word " * 9})
    commits = importlib.import_module("commits")
    tokenizer = TextTokenizer.load(folder)
    wanted = commits.Wanted(kinds=["rest"], limit=100, tree=True)
    _, cuts, _ = commits.read_repository(
        repo.path, wanted, commits.Settings(), tokenizer, no_progress
    )
    assert len(cuts) == 24 and {cut.hole.path for cut in cuts} == {"run.py"}
    lines = [cut.prefix.rpartition("\n")[2] for cut in cuts]
    assert len({cut.prefix.count("\n") for cut in cuts}) == len(cuts)
    for line, cut in zip(lines, cuts, strict=True):
        assert cut.middle.strip() and "\n" not in cut.middle and cut.suffix[:1] in ("\n", "")
        whole = tokenizer.encode(line + cut.middle)
        assert line in {tokenizer.decode(whole[:n]) for n in range(1, len(whole))}
    assert len({len(tokenizer.encode(cut.middle)) for cut in cuts}) > 5
    arguments = ["--repo", str(repo.path), "--model", str(folder), "--limit", "3"]
    assert quality.main([*arguments, "--kind", "rest", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["settings"]["tree"] and result["settings"]["kinds"] == ["rest"]
    with pytest.raises(SystemExit):
        quality.main([*arguments, "--kind", "rest", "line"])
    assert "stands alone" in capsys.readouterr().err


@pytest.mark.slow
def test_tree_holes_are_anywhere_and_no_snippet_shows_them(repo, folder, monkeypatch):
    rows = "".join(f"    total_{i} = combine(value, {i}) + other\n" for i in range(40))
    body = "from util import combine\n\n\ndef run(value, other):\n"
    repo.commit({"old.py": body + rows, "util.py": "def combine(first, second):\n    return 1\n"})
    repo.commit({"new.txt": "nothing that is cut\n"})
    commits = importlib.import_module("commits")
    wanted = commits.Wanted(limit=8, tree=True)
    known = (repo.path, wanted, commits.Settings(), TextTokenizer.load(folder), no_progress)
    name, cuts, hits = commits.read_repository(*known)
    assert len(cuts) == 8 and {cut.hole.path for cut in cuts} == {"old.py", "util.py"}
    again = commits.read_repository(*known)
    assert again == (name, cuts, hits)
    for cut, found in zip(cuts, hits, strict=True):
        near = cut.prefix.rpartition("\n")[2] + cut.middle
        assert not any(near.strip() in hit.text for hit in found if hit.path == cut.hole.path)
    assert any(hits)
    arguments = ["--repo", str(repo.path), "--model", str(folder), "--limit", "4", "--tree"]
    shown = []
    monkeypatch.setattr("builtins.print", shown.append)
    assert quality.main([*arguments, "--json"]) == 0
    (found,) = json.loads(shown[0])["repositories"].values()
    assert (found["holes"], found["files"]) == (4, 2)


def test_a_repository_without_holes_is_a_one_line_error(repo, folder, capsys):
    repo.commit({"notes.txt": "nothing\n"})
    assert quality.main(["--repo", str(repo.path), "--model", str(folder)]) == 1
    assert "has no python holes" in capsys.readouterr().err
