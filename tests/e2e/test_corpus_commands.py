"""`git copilot corpus` as a user runs it: figures, samples, explanations, exports, mistakes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest

SGR = re.compile("\x1b\\[[0-9;]*m")


def lines_of_code(name, count=9):
    return "".join(f"{name}_{i} = alpha({i}) + beta({i})\n" for i in range(count))


@pytest.fixture
def corpus(copilot, project):
    """Commands in a project with a few holes."""
    project.commit({"src/big.py": lines_of_code("big"), "src/caf\udce9.py": lines_of_code("odd")})
    project.commit({"src/big.py": lines_of_code("new"), "tests/test_big.py": lines_of_code("t")})
    copilot.ok("status", "--wait", "--timeout", "60")
    return copilot


def on_a_terminal(cwd, *args, **env):
    """The output of a command on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["git-copilot", *args],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, **env},
    ) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
            if not part:
                break
            parts.append(part)
        assert process.wait(timeout=60) == 0
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


def test_statistics_json_keeps_its_keys_and_updates_survival(corpus, project):
    stale = corpus.json("corpus", "--no-update")
    assert stale["survival"]["unknown"]["holes"] == stale["holes"] > 0
    figures = corpus.json("corpus")
    assert list(figures) == [
        "commits", "holes", "authors", "status", "left_out", "kind", "language", "author",
        "month", "tests", "survival", "missing",
    ]  # fmt: skip
    assert figures["survival"]["unknown"]["holes"] == 0
    assert figures["survival"]["rewritten"]["holes"] > 0 and figures["tests"]["tests"] > 0
    status = corpus.json("status")["corpus"]
    assert {name: figures[name] for name in status} == status
    assert corpus.json("corpus", "--no-update") == figures


def test_statistics_have_bars_on_a_terminal_only(corpus, project):
    piped = corpus.ok("corpus")
    assert "█" not in piped and "\x1b" not in piped and "rewritten" in piped
    seen = on_a_terminal(project.path, "corpus")
    assert "█" in seen and SGR.search(seen)
    plain = on_a_terminal(project.path, "corpus", NO_COLOR="1")
    assert "█" in plain and "\x1b" not in plain
    assert SGR.sub("", seen) == plain


def test_samples_show_code_as_in_the_file(corpus, project):
    shown = corpus.json("corpus", "sample", "-n", "99", "--seed", "3")
    assert shown["seed"] == 3
    assert len(shown["samples"]) == corpus.json("corpus")["holes"]
    for each in shown["samples"]:
        data = project.git("show", f"{each['commit']}:{each['path']}", check=False)
        if data:
            assert each["before"] + each["middle"] + each["after"] in data + "\n"
    text = corpus.ok("corpus", "sample", "-n", "99", "--seed", "3")
    ids = re.findall(r"  hole (\d+)  ", text)
    assert [int(i) for i in ids] == [each["id"] for each in shown["samples"]]
    assert "caf<E9>.py" in text and "⟦" in text
    below = corpus.ok("corpus", "sample", "-n", "1", "--seed", "3", cwd=project.path / "src")
    assert below.startswith("../")
    done = corpus.run("corpus", "sample", "-n", "1")
    again = re.search(rb"--seed (\d+)\n$", done.stderr)
    assert corpus.ok("corpus", "sample", "-n", "1", "--seed", again[1].decode()).encode() == (
        done.stdout
    )
    seen = on_a_terminal(project.path, "corpus", "sample", "-n", "2", "--seed", "3")
    assert "\x1b[2m" in seen and "⟦" not in seen
    narrow = corpus.json("corpus", "sample", "--kind", "line", "--author", "ada", "--language",
                         "python", "--seed", "1")  # fmt: skip
    assert {each["kind"] for each in narrow["samples"]} == {"line"}


def test_a_hole_is_explained_by_id_and_by_place(corpus, project):
    hole, *_ = corpus.json("corpus", "sample", "-n", "1", "--seed", "1")["samples"]
    facts = corpus.json("corpus", "--explain", str(hole["id"]))
    assert facts["subject"] == "change" and facts["middle"] == hole["middle"]
    rules = {rule["rule"]: rule["says"] for rule in facts["rules"]}
    assert rules["secret"] == rules["forgotten"] == rules["history"] == rules["size"] == "for"
    assert rules["held out"] == "unknown"
    text = corpus.ok("corpus", "explain", str(hole["id"]))
    for line in (f"commit    {hole['commit']} change", "adapters  none learnt from it"):
        assert line in text.splitlines()


MISTAKES = [
    (["--explain", "999999"], 1, "no hole 999999"),
    (["explain", "99999999999999999999999999"], 1, "no hole"),
    (["explain", "x"], 2, "'x'"),
    (["explain"], 2, "HOLE"),
    (["--explain", "1", "sample"], 2, "sample"),
    (["sample", "--kind", "nonsense"], 1, "there are"),
    (["sample", "--language", "cobol"], 1, "python"),
    (["sample", "--author", "nobody"], 1, "no hole"),
    (["sample", "-n", "0"], 2, "-n"),
    (["export", "--out", "x.txt"], 1, ".jsonl"),
    (["export", "--out", "."], 1, "folder"),
    (["export", "--out", "src"], 1, "folder"),
    (["export", "--out", "none/x.jsonl"], 1, "folder none does not exist"),
    (["export", "--out", "/proc/x.jsonl"], 1, "cannot write"),
    (["export", "--out", "x.jsonl", "--source", "both"], 1, "--rendered"),
    (["export", "--out", "x.jsonl", "--source", "x"], 1, "commits, snapshot, both"),
    (["export", "--out", "x.jsonl", "--since", "tomorrow"], 2, "tomorrow"),
    (["export"], 2, "--out"),
    (["nonsense"], 2, "nonsense"),
]


def test_wrong_arguments_are_one_line_errors(corpus, project):
    for args, code, words in MISTAKES:
        done = corpus.run("corpus", *args)
        text = done.stderr.decode()
        assert done.returncode == code, text
        assert text.count("\n") == 1 and text.startswith("git-copilot: ") and words in text, text
        assert done.stdout == b"" and project.git("status", "--porcelain") == ""


@pytest.mark.parametrize("args", [[], ["sample"], ["explain", "1"], ["export", "--out", "x.jsonl"]])
def test_corpus_before_init_names_init(project, bare_commands, args):
    done = bare_commands.run("corpus", *args, cwd=project.path)
    assert done.returncode == 1 and b"git copilot init" in done.stderr
    assert project.git("status", "--porcelain") == ""


def test_an_empty_corpus_is_reported_as_such(bare_commands, repo):
    bare_commands.path = repo.path
    bare_commands.ok("init")
    assert bare_commands.json("corpus")["holes"] == 0
    assert bare_commands.ok("corpus").startswith("0 holes of 0 commits by 0 authors\n\nkind\n")
    done = bare_commands.run("corpus", "sample")
    assert (done.returncode, done.stdout) == (1, b"") and b"empty" in done.stderr
    assert "0 holes in" in bare_commands.ok("corpus", "export", "--out", "x.jsonl")


def test_every_export_format_is_written(corpus, project, tmp_path):
    def export(*args):
        corpus.ok("corpus", "export", "--out", tmp_path / "c.jsonl", *args)
        return [json.loads(x) for x in (tmp_path / "c.jsonl").read_text("utf-8").splitlines()]

    holes = export()
    assert len(holes) == corpus.json("corpus")["holes"] > 0
    for row in holes:
        text = row["prefix"] + row["middle"] + row["suffix"]
        assert text.strip() == project.git("cat-file", "blob", row["blob"])
    assert export("--since", "2099-01-01") == []
    files = export("--source", "snapshot")
    assert {"src/app.py", "src/big.py", "src/caf\ufffd.py"} <= {row["path"] for row in files}
    texts = export("--rendered", "--source", "both")
    assert len(texts) > len(holes) and all(row["text"] for row in texts)
    assert list(tmp_path.glob(".c*")) == []


def test_a_full_disk_is_reported_and_leaves_no_file(corpus, project, tmp_path):
    project.commit({"src/long.py": lines_of_code("long", 3000)})
    corpus.ok("status", "--wait", "--timeout", "60")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        "from git_copilot.assistant.entry import main;"
        f"sys.argv[1:] = ['corpus', 'export', '--out', {str(tmp_path / 'c.jsonl')!r}];"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project.path, capture_output=True)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"cannot write" in done.stderr
    assert list(tmp_path.glob("*c.jsonl*")) == []
