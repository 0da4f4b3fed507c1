"""Reads the source files of wheels and repositories, and what licence they are under."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from git_copilot.index.git.repository import GitRepository

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|zlib|CC0|HPND|Boost)\b",
    re.IGNORECASE,
)
RESTRICTED = re.compile(
    r"GPL|General Public|MPL|Mozilla|EPL|Eclipse|Proprietary|Commercial|SSPL|BUSL|Business Source"
    r"|Creative Commons|CC-BY|EUPL|CeCILL|Free for non",
    re.IGNORECASE,
)
# Code of other projects, perhaps under another licence.
VENDORED = re.compile(
    r"(^|/)(_?vendor(ed)?|_?vendored_?\w*|third_?party|extern|externals|node_modules)/"
)


def licence_of(wheel: Path) -> str:
    """The permissive licence that a wheel's metadata names; empty where it names none, or any
    other."""
    with zipfile.ZipFile(wheel) as archive:
        name = next((n for n in archive.namelist() if n.endswith(".dist-info/METADATA")), None)
        if name is None:
            return ""
        facts = HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))
    named = [
        value.rpartition("::")[2].strip()
        for value in facts.get_all("Classifier", [])
        if value.startswith("License ::")
    ]
    expression = facts.get("License-Expression", "")
    # A whole text of a licence names others, too.
    short = facts.get("License", "").strip().split("\n")[0][:60]
    found = " ".join(filter(None, (expression, *named))) or short
    return found if PERMISSIVE.search(found) and not RESTRICTED.search(found) else ""


def sha256(path: Path) -> str:
    """The hash of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wheel_files(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """The path and the content of each file of a wheel, in path order."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith("/") and ".dist-info/" not in name:
                yield name, archive.read(name)


def repository_files(folder: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    """The path and the content of each file of a commit's tree, in path order."""
    repo = GitRepository.discover(folder)
    entries = [e for e in repo.ls_tree(commit) if e.mode in ("100644", "100755")]
    for entry, (_, data) in zip(entries, repo.blobs(e.oid for e in entries), strict=True):
        yield entry.path, data


def find_repository(sources: Path, name: str) -> Path:
    """The clone of ``owner/name`` in a folder of clones.

    :raises FileNotFoundError: there is none.
    """
    folder = sources / name.replace("/", "+")
    folder = folder / "repo" if (folder / "repo").is_dir() else folder
    if not folder.is_dir():
        raise FileNotFoundError(f"no clone of {name} in {sources}")
    return folder


def head(folder: Path) -> str:
    """The commit of a clone's HEAD."""
    found = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def describe_wheel(wheel: Path, licence: str) -> dict[str, Any]:
    """A wheel's entry of corpus.toml."""
    name, version = wheel.name.split("-")[:2]
    return {
        "name": name, "version": version, "file": wheel.name, "sha256": sha256(wheel),
        "licence": licence,
    }  # fmt: skip
