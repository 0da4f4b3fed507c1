"""Packs source code into one file to train the default model from.

    python bench/seed/pack.py list --archives DIR --sources DIR > bench/seed/corpus.toml
    python bench/seed/pack.py requirements | xargs pip download --no-deps --only-binary :all: -d DIR
    python bench/seed/pack.py pack --archives DIR --sources DIR --evaluation HumanEval.jsonl.gz \\
        --out corpus.xz
    python bench/seed/pack.py base --out base.tar.xz

``list`` writes what is packed: wheels under a permissive licence, and clones at their HEAD
(``--licence owner/name=MIT``). ``pack`` takes each at the hash or commit that the list names, and leaves out
other projects' code, generated files, secrets, copies of what another source has, and files that
share :data:`CONTAMINATION` tokens in a row with the evaluation. ``base`` packs the pulled base model
with the sentinels named, see train_cuda.py.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import click
from packed import PackedFile, write_pack
from sources import (
    VENDORED,
    describe_wheel,
    find_repository,
    head,
    licence_of,
    repository_files,
    sha256,
    wheel_files,
)

from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.snapshot import is_handwritten_code
from git_copilot.index.secrets.redaction import redact_bytes
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.classify import language_of
from git_copilot.index.text.parsing import parse

LIST = Path(__file__).parent / "corpus.toml"
# What evaluations use, here or by others, and what copies their code.
EVALUATED = frozenset(
    {
        "rich", "structlog", "httpx", "pre_commit", "sqlite_utils", "click", "datasette", "mypy",
        "attrs", "anyio", "flask", "quart", "jinja2", "coverage", "arrow", "psycopg", "starlette",
        "werkzeug", "marshmallow", "uvicorn", "requests", "poetry", "pylint",
    }
)  # fmt: skip
LANGUAGES = frozenset({"python", "typescript", "tsx", "javascript", "go", "rust", "java", "c"})
MOST_FILE, LEAST_FILE = 120_000, 200
# Of each source at most so many bytes of text: many sources teach more than much of a few.
MOST_SOURCE = 1_900_000
# Folders of this depth are taken as a whole, so that files which need each other stay together.
DEPTH = 3
CONTAMINATION = 13
# A file is a copy when this share of its lines with enough text stood in files before it.
COPIED, LINE = 0.6, 20
# A syntax node of so many characters may be a hole; about one for each NODE_LINES lines is kept.
NODE_SIZES, NODE_LINES = (8, 600), 5
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Evaluation:
    """Runs of tokens of the evaluation's problems and solutions."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._runs: set[tuple[str, ...]] = set()
        for path in files:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    found = _TOKEN.findall(row["prompt"] + row["canonical_solution"])
                    self._runs.update(
                        tuple(found[i : i + CONTAMINATION])
                        for i in range(len(found) - CONTAMINATION + 1)
                    )
        self._heads = {run[:3] for run in self._runs}

    def is_in(self, text: str) -> bool:
        """Whether a text shares a run with the evaluation."""
        found = _TOKEN.findall(text)
        return any(
            (found[i], found[i + 1], found[i + 2]) in self._heads
            and tuple(found[i : i + CONTAMINATION]) in self._runs
            for i in range(len(found) - CONTAMINATION + 1)
        )


class Packer:
    """Filters files, one after the other; ``dropped`` counts by reason."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._lines: set[int] = set()
        self.dropped: Counter[str] = Counter()

    def pack(self, source: int, path: str, data: bytes) -> PackedFile | None:
        """A file as it is packed, ``None`` where it is left out."""
        language = language_of(path)
        reason = self._unwanted(path, data, language)
        if reason:
            self.dropped[reason] += 1
            return None
        data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        # Counted as a copy only where it would be packed.
        text = redact_bytes(data, path).decode("utf-8")
        self._lines.update(_distinctive(text))
        nodes = find_nodes(text, language, seeded_random("nodes", path, str(len(text))).random)
        chunks = tuple(
            chunk.start_line - 1 for chunk in chunk_blob(text.encode(), language) if chunk.text
        )
        return PackedFile(source, path, language, text, nodes, chunks)

    def _unwanted(self, path: str, data: bytes, language: str) -> str:
        if VENDORED.search(path):
            return "vendored"
        if language not in LANGUAGES or not LEAST_FILE <= len(data) <= MOST_FILE:
            return "language or size"
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return "not UTF-8"
        if not is_handwritten_code(data):
            return "generated or data"
        lines = _distinctive(text)
        if sum(line in self._lines for line in lines) > COPIED * max(1, len(lines)):
            return "copy"
        return "evaluation" if self._evaluation.is_in(text) else ""


def _distinctive(text: str) -> list[int]:
    return [hash(line) for raw in text.split("\n") if len(line := raw.strip()) >= LINE]


def find_nodes(text: str, language: str, random: Any) -> tuple[tuple[int, int], ...]:
    """Syntax nodes of a text that may be holes: (start, end) in characters, in order.

    :param random: gives numbers in [0, 1).
    """
    data = text.encode()
    root = parse(data, language)
    if root is None:
        return ()
    found, pending = set(), [root]
    while pending:
        node = pending.pop()
        pending.extend(node.named_children)
        if NODE_SIZES[0] <= node.end_byte - node.start_byte <= NODE_SIZES[1]:
            found.add((node.start_byte, node.end_byte))
    share = min(1.0, text.count("\n") / NODE_LINES / max(1, len(found)))
    kept = [span for span in sorted(found) if random() < share]
    ascii_only = len(data) == len(text)
    place = (lambda n: n) if ascii_only else (lambda n: len(data[:n].decode("utf-8", "ignore")))
    return tuple((place(start), place(end)) for start, end in kept)


@click.group()
def main() -> None:
    """Pack source code to train from."""


ARCHIVES = click.option("--archives", type=click.Path(path_type=Path, exists=True), required=True)
SOURCES = click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)


@main.command("list")
@ARCHIVES
@SOURCES
@click.option("--licence", "licences", multiple=True, help="owner/name=LICENCE of a clone to list.")
def list_sources(archives: Path, sources: Path, licences: tuple[str, ...]) -> None:
    """Write the list of what is here and may be packed, as TOML."""
    for wheel in sorted(archives.glob("*.whl")):
        licence = licence_of(wheel)
        if licence and wheel.name.split("-")[0].lower() not in EVALUATED:
            _write("package", describe_wheel(wheel, licence))
    for entry in licences:
        name, _, licence = entry.partition("=")
        commit = head(find_repository(sources, name))
        _write("repository", {"name": name, "commit": commit, "licence": licence})


def _write(kind: str, facts: dict[str, str]) -> None:
    click.echo(f"[[{kind}]]")
    for key, value in facts.items():
        click.echo(f"{key} = {json.dumps(value)}")
    click.echo()


@main.command()
@click.option("--list", "listed", type=click.Path(path_type=Path, exists=True), default=LIST)
def requirements(listed: Path) -> None:
    """Print the listed packages, to download them."""
    for facts in tomllib.loads(listed.read_text("utf-8")).get("package", ()):
        click.echo(f"{facts['name']}=={facts['version']}")


@main.command()
@ARCHIVES
@SOURCES
@click.option("--list", "listed", type=click.Path(path_type=Path, exists=True), default=LIST)
@click.option("--evaluation", type=click.Path(path_type=Path, exists=True), multiple=True,
              help="HumanEval.jsonl.gz: what must not be in the data.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--most-bytes", type=int, default=50_000_000, help="Of the pack.")
def pack(
    archives: Path, sources: Path, listed: Path, evaluation: tuple[Path, ...], out: Path,
    most_bytes: int,
) -> None:  # fmt: skip
    """Pack everything on the list."""
    facts = tomllib.loads(listed.read_text("utf-8"))
    entries = [*facts.get("package", ()), *facts.get("repository", ())]
    packer = Packer(Evaluation(evaluation))
    sizes: Counter[str] = Counter()

    def files() -> Iterator[PackedFile]:
        for number, entry in enumerate(entries):
            taken = 0
            for path, data in by_folders(_files(entry, archives, sources), entry["name"]):
                file = packer.pack(number, path, data) if taken < MOST_SOURCE else None
                if file is not None:
                    taken += len(file.text)
                    sizes[file.language] += len(file.text)
                    yield file
            click.echo(f"{entry['name']}: {taken / 1e6:.2f} MB", err=True)

    size = write_pack(out, entries, files())
    facts = {"bytes": size, "characters": dict(sizes), "dropped": dict(packer.dropped)}
    click.echo(json.dumps(facts))
    if size > most_bytes:
        raise click.ClickException(f"{out} has {size} bytes, more than {most_bytes}: list fewer")


def by_folders(files: list[tuple[str, bytes]], seed: str) -> list[tuple[str, bytes]]:
    """Files folder by folder, the folders in an order that depends on ``seed`` alone."""
    groups: dict[str, list[tuple[str, bytes]]] = {}
    for path, data in sorted(files):
        folder = "/".join(path.split("/")[:-1][:DEPTH])
        groups.setdefault(folder, []).append((path, data))
    folders = list(groups)
    seeded_random("pack", seed).shuffle(folders)
    return [file for folder in folders for file in groups[folder]]


def _files(entry: dict[str, Any], archives: Path, sources: Path) -> list[tuple[str, bytes]]:
    """The files of a source.

    :raises click.ClickException: it is not what the list names.
    """
    if "commit" in entry:
        folder = find_repository(sources, entry["name"])
        return list(repository_files(folder, entry["commit"]))
    wheel = archives / entry["file"]
    if sha256(wheel) != entry["sha256"]:
        raise click.ClickException(f"{wheel} is not the file that the list names")
    return list(wheel_files(wheel))


@main.command()
@click.option("--model", default="smollm2-135m")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def base(model: str, out: Path) -> None:
    """Pack the base model with the sentinels named, as a tar archive."""
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.models.seed_adapter_files import prepare_base

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "base"
        prepare_base(resolve_model(model), folder)
        with tarfile.open(out, "w:xz", preset=9) as archive:
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
                archive.add(folder / name, name)
            for path in sorted(folder.glob("model*.safetensors*")):
                archive.add(path, path.name)
    click.echo(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
