"""Repositories that bring refs, history or a ready-made state folder of ours."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.hostile.place import Place

Build = Callable[[Place], None]


def _state(place: Place) -> Path:
    folder = place.path / ".git/copilot"
    folder.mkdir(exist_ok=True)
    return folder


def _ready_made_database(place: Place) -> None:
    """A database that a stranger made, with SQL of his own in it."""
    connection = sqlite3.connect(_state(place) / "copilot.db")
    connection.executescript(
        "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT);"
        "CREATE VIEW blobs AS SELECT load_extension('/tmp/evil.so') AS oid;"
        "CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT writefile('/tmp/evil', 'x'); END;"
    )
    connection.close()


def _state_is_a_link(place: Place) -> None:
    (place.path / ".git/copilot").symlink_to(place.outside)


def _state_files_are_links(place: Place) -> None:
    state = _state(place)
    for name in ("copilot.db", "vectors.faiss", "vectors.json", "cochange.json", "worker.lock",
                 "worker.pid", "worker.start", "python", "hook.sh", "known"):  # fmt: skip
        (state / name).symlink_to(place.outside / "secret.py")
    for name in ("spool", "log", "adapters"):
        (state / name).symlink_to(place.outside)


def _interpreter(place: Place) -> None:
    """The worker's interpreter is a command of the clone, and there is work to do."""
    state = _state(place)
    (state / "python").write_text(f"{place.canary}\n")
    (state / "spool").mkdir()
    (state / "spool/events").write_text(f"post-commit\t{place.path}/.git\n")


def _adapter(place: Place) -> None:
    """An adapter in use whose weights are a pickle that runs a command."""
    folder = _state(place) / "adapters/20260101-000000-evil"
    folder.mkdir(parents=True)
    (folder.parent / "current").write_text("20260101-000000-evil\n")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1}))
    (folder / "evidence.json").write_text(json.dumps({"promoted": True, "base_model": "x"}))
    pickled = b"cos\nsystem\n(S'" + place.canary.encode() + b"'\ntR."
    for name in ("adapter_model.bin", "adapter_model.safetensors"):
        (folder / name).write_bytes(pickled)


def _adapter_elsewhere(place: Place) -> None:
    adapters = _state(place) / "adapters"
    adapters.mkdir()
    (adapters / "current").write_text(f"../../../../{place.outside.name}\n")


def _vectors(place: Place) -> None:
    state = _state(place)
    (state / "vectors.faiss").write_bytes(b"IxF2" + b"\xff" * 4096)
    (state / "vectors.json").write_text('{"count": 99999999999}')


def _replaced(place: Place) -> None:
    """Replace refs and grafts that make loops of the history."""
    head, first = place.repo.git("rev-parse", "HEAD"), place.repo.git("rev-parse", "HEAD~1")
    blob = place.repo.git("rev-parse", "HEAD:src/util.py")
    other = place.repo.git(
        "hash-object", "-w", "--stdin", stdin="def other(value):\n    return 1\n"
    )
    place.repo.git("replace", blob, other)
    place.repo.git("replace", "--graft", first, head, check=False)


def _refs(place: Place) -> None:
    head = place.repo.git("rev-parse", "HEAD")
    for name in (f"$({place.canary.rpartition('/')[2]})", "-rf", "a;touch${IFS}x", "\u202ecod"):
        place.repo.git("update-ref", f"refs/heads/{name}", head, check=False)
    blob = place.repo.git("hash-object", "-w", "--stdin", stdin="x")
    place.repo.git("tag", "blob-tag", blob)
    place.repo.git("update-ref", "refs/copilot/adapters", blob)


def _notes(place: Place) -> None:
    place.repo.git("notes", "add", "-m", f"$({place.canary})\n\x1b]0;owned\x07", "HEAD")
    place.config("notes.displayRef", "refs/notes/*", "core.notesRef", "refs/notes/commits")


def _authors(place: Place) -> None:
    evil = {"GIT_AUTHOR_NAME": f"$({place.canary})", "GIT_AUTHOR_EMAIL": "--output=/x@y"}
    code = "def evil(value):\n    total = value + 1\n    return total\n"
    place.repo.commit({"src/evil.py": code}, f"`{place.canary}`\n\n--exec={place.canary}", **evil)
    place.repo.write({".mailmap": f"$({place.canary}) <x@y> <--output=/x@y>\n"})
    place.config("mailmap.blob", "HEAD:src/evil.py", "log.mailmap", "true")


def _defaults(place: Place) -> None:
    text = (
        f"[copilot]\n\tendpoint = http://127.0.0.1:{place.port}\n\tmodel = {place.outside}\n"
        f"\tmaxTokens = 99999999\n[include]\n\tpath = {place.outside}/secret.py\n"
        f"[core]\n\tfsmonitor = {place.canary}\n"
    )
    place.repo.commit({".gitcopilot": text})


def _large_files(place: Place) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 9\n"
    place.repo.commit(
        {
            ".lfsconfig": f"[lfs]\n\turl = http://127.0.0.1:{place.port}/lfs\n",
            ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            "model.bin": pointer,
            "src/pointer.py": pointer,
        }
    )


def _attributes(place: Place) -> None:
    """Attributes that ask for work: encodings, filters, an endless macro."""
    place.repo.commit(
        {
            ".gitattributes": "*.txt working-tree-encoding=UTF-16 ident eol=crlf\n"
            "[attr]a a b\n[attr]b a\n* a\n" + "*.py x=" + "y" * 3000 + "\n",
            "src/.gitattributes": "[attr]binary -binary\n* merge=union !filter\n",
        }
    )


def _worktree_record(place: Place) -> None:
    """A linked worktree whose record points outside."""
    record = place.path / ".git/worktrees/evil"
    record.mkdir(parents=True)
    (record / "HEAD").write_text("ref: refs/heads/main\n")
    (record / "commondir").write_text(f"{place.outside}\n")
    (record / "gitdir").write_text(f"{place.outside}/.git\n")


SHAPES: dict[str, Build] = {
    "ready-made database": _ready_made_database,
    "state folder is a link": _state_is_a_link,
    "files of the state folder are links": _state_files_are_links,
    "interpreter of the worker": _interpreter,
    "adapter that is a pickle": _adapter,
    "adapter elsewhere": _adapter_elsewhere,
    "damaged vectors": _vectors,
    "replace refs that loop": _replaced,
    "names of refs": _refs,
    "notes": _notes,
    "authors, messages and mailmap": _authors,
    "committed settings": _defaults,
    "large file storage": _large_files,
    "attributes that ask for work": _attributes,
    "record of a worktree outside": _worktree_record,
}
