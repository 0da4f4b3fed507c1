"""bench/seed/pack.py: what a pack holds, and what it leaves out."""

from __future__ import annotations

import gzip
import importlib
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SEED = Path(__file__).resolve().parents[2] / "bench" / "seed"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(SEED))
    pack, packed, sources = (importlib.import_module(n) for n in ("pack", "packed", "sources"))


def module(topic, functions=6):
    return "".join(
        f"def {topic}_{i}(first_{topic}, second_{topic}):\n"
        f'    """Combine two of the {topic} values, number {i}."""\n'
        f"    combined_{topic} = first_{topic} * {i} + second_{topic}\n"
        f"    return normalise_{topic}(combined_{topic})\n\n\n"
        for i in range(functions)
    )


def wheel(folder, name, licence, files):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\n{licence}\n"
        )
    return path


MIT = "Classifier: License :: OSI Approved :: MIT License"


@pytest.mark.parametrize(
    ("metadata", "accepted"),
    [
        (MIT, True),
        ("License-Expression: Apache-2.0 OR MIT", True),
        ("License: BSD-3-Clause\n the text of it", True),
        ("License-Expression: MIT\nClassifier: License :: OSI Approved :: GPL", False),
        ("License: LGPL with exceptions", False),
        ("License-Expression: MPL-2.0", False),
        ("License: see LICENSE", False),
        ("", False),
    ],
)
def test_only_permissive_licences_are_listed(tmp_path, metadata, accepted):
    assert bool(sources.licence_of(wheel(tmp_path, "thing", metadata, {}))) is accepted


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 90)), max_size=20),
    st.lists(st.integers(0, 900), max_size=9),
    st.text(max_size=80).filter(lambda text: "\r" not in text),
)
def test_a_file_is_read_as_it_was_written(spans, chunks, text):
    nodes = tuple(sorted((start, start + size) for start, size in spans))
    file = packed.PackedFile(3, "a/é.py", "python", text, nodes, tuple(sorted(chunks)))
    line = file.to_line()
    assert "\n" not in line
    assert packed.PackedFile.from_line(line) == file


def test_nodes_are_spans_of_characters_that_parse_by_themselves():
    text = "name = 'žluťoučký'\nvalue = compute(name, other)\n" * 6
    nodes = pack.find_nodes(text, "python", lambda: 0.0)
    assert "compute(name, other)" in {text[start:end] for start, end in nodes}
    assert "'žluťoučký'" in {text[start:end] for start, end in nodes}
    few = pack.find_nodes(text, "python", iter([0.0, 1.0] * 500).__next__)
    assert 0 < len(few) < len(nodes)


EVALUATED = (
    "def has_close(numbers, threshold):\n    for a in numbers:\n        pass\n    return a\n"
)


@pytest.fixture(name="made")
def made_pack(tmp_path, repo):
    """A pack of a wheel and a repository, its list and what the command printed."""
    archives, clones = tmp_path / "wheels", tmp_path / "clones"
    archives.mkdir(), clones.mkdir()
    wheel(archives, "apples", MIT, {
        "apples/core.py": module("apple"),
        "apples/_vendor/pears.py": module("pear"),
        "apples/copy.py": module("apple") + "\n",
        "apples/keys.py": module("key") + 'TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"\n',
        "apples/data.csv": "1,2\n" * 200,
        "apples/humaneval.py": module("human") + EVALUATED,
        "apples/crlf.py": module("crlf").replace("\n", "\r\n"),
        "apples/latin.py": module("latin").encode() + b"# \xe9\n",
    })  # fmt: skip
    wheel(archives, "plums", "License: GPL-3.0", {"plums/core.py": module("plum")})
    wheel(archives, "rich", MIT, {"rich/core.py": module("rich")})
    repo.commit({"src/main.go": "package main\n\n" + "".join(
        f"func Peach{i}(count int) int {{\n\treturn multiplyPeaches(count, {i})\n}}\n\n"
        for i in range(8)
    )})  # fmt: skip
    subprocess.run(["git", "clone", "-q", repo.path, clones / "fruit+peaches"], check=True)
    problems = tmp_path / "HumanEval.jsonl.gz"
    row = {"prompt": EVALUATED, "canonical_solution": "", "entry_point": "has_close"}
    problems.write_bytes(gzip.compress(json.dumps(row).encode()))
    return archives, clones, problems, tmp_path


def command(*arguments):
    return subprocess.run(
        [sys.executable, str(SEED / "pack.py"), *map(str, arguments)],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip


def environment():
    import os

    return {**os.environ, "PYTHONPATH": str(SEED.parents[1] / ".dev")}


def build(made, *more):
    archives, clones, problems, folder = made
    where = ("--archives", archives, "--sources", clones)
    listed = command("list", *where, "--licence", "fruit/peaches=MIT")
    (folder / "corpus.toml").write_text(listed.stdout)
    return command(
        "pack", *where, "--list", folder / "corpus.toml", "--evaluation", problems,
        "--out", folder / "corpus.xz", *more,
    )  # fmt: skip


def test_a_pack_has_what_is_listed_without_what_must_not_be_in_it(made):
    done = build(made)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    listed, files = packed.read_pack(made[3] / "corpus.xz")
    files = {file.path: file for file in files}
    assert [entry["name"] for entry in listed] == ["apples", "fruit/peaches"]
    assert all(entry["licence"] for entry in listed)
    assert listed[1]["commit"]
    # One of two copies, whichever comes first.
    copies = {"apples/core.py", "apples/copy.py"} & set(files)
    assert len(copies) == 1
    assert set(files) - copies == {"apples/keys.py", "apples/crlf.py", "src/main.go"}
    assert facts["dropped"] == {
        "vendored": 1, "copy": 1, "language or size": 1, "evaluation": 1, "not UTF-8": 1,
    }  # fmt: skip
    assert "ghp_16C7e42F" not in files["apples/keys.py"].text
    assert "\r" not in files["apples/crlf.py"].text
    main = files["src/main.go"]
    assert main.language == "go" and main.source == 1 and main.chunks[0] == 0
    assert "multiplyPeaches(count, 3)" in {main.text[s:e] for s, e in main.nodes} or main.nodes
    assert facts["bytes"] == (made[3] / "corpus.xz").stat().st_size


def test_the_same_sources_give_the_same_pack(made):
    build(made)
    first = (made[3] / "corpus.xz").read_bytes()
    build(made)
    assert (made[3] / "corpus.xz").read_bytes() == first


def test_a_file_that_is_not_the_listed_one_is_refused(made):
    build(made)
    folder = made[3]
    with (folder / "corpus.toml").open("rb") as file:
        name = tomllib.load(file)["package"][0]["file"]
    (made[0] / name).write_bytes((made[0] / name).read_bytes() + b"x")
    again = command(
        "pack", "--archives", made[0], "--sources", made[1], "--list", folder / "corpus.toml",
        "--out", folder / "other.xz",
    )  # fmt: skip
    assert again.returncode != 0 and "is not the file that the list names" in again.stderr


def test_a_pack_that_cannot_be_carried_is_told(made):
    done = build(made, "--most-bytes", "100")
    assert done.returncode != 0 and "more than 100" in done.stderr


def test_requirements_name_the_listed_packages(made):
    build(made)
    done = command("requirements", "--list", made[3] / "corpus.toml")
    assert done.stdout == "apples==1.0\n"


def test_files_of_a_folder_stay_together():
    files = [(f"lib/{folder}/part/{i}.py", b"") for i in range(4) for folder in "abcdef"]
    ordered = [path for path, _ in pack.by_folders(files, "seed")]
    assert sorted(ordered) == sorted(path for path, _ in files)
    folders = [path.split("/")[1] for path in ordered]
    assert folders == [f for f in dict.fromkeys(folders) for _ in range(4)]
    assert folders != sorted(folders)
    assert ordered == [path for path, _ in pack.by_folders(files[::-1], "seed")]
