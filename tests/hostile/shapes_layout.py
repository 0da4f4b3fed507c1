"""Repositories whose folders lie: bare folders, links, pipes, names, trees made by hand."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable

from tests.hostile.place import Place

Build = Callable[[Place], None]
CONFIG = (
    "[core]\n\trepositoryformatversion = 0\n\tbare = {bare}\n{worktree}\tfsmonitor = {canary}\n"
    "[copilot]\n\tendpoint = http://127.0.0.1:{port}\n\tendpointModel = stolen\n\tfim = git-copilot\n"
)


def _git_folder(place: Place, name: str, *, bare: bool = False, worktree: str = "..") -> None:
    """Make the folder ``name`` of the worktree a repository of its own, with a hostile config."""
    target = place.path / name
    target.mkdir(parents=True, exist_ok=True)
    for part in ("objects", "refs"):
        shutil.copytree(place.path / ".git" / part, target / part)
    (target / "HEAD").write_text("ref: refs/heads/main\n")
    said = f"\tworktree = {worktree}\n" if worktree and not bare else ""
    (target / "config").write_text(
        CONFIG.format(bare=str(bare).lower(), worktree=said, canary=place.canary, port=place.port)
    )
    (target / "util.py").write_text("def helper(x):\n    return \n")


def _embedded(place: Place) -> None:
    _git_folder(place, "src")


def _embedded_bare(place: Place) -> None:
    _git_folder(place, "src", bare=True)


def _embedded_deep(place: Place) -> None:
    _git_folder(place, "src/deep/er", worktree="../../..")
    place.repo.write({"src/deep/er/app.py": "def helper(x):\n    return \n"})


def _git_file(place: Place) -> None:
    """A folder with a `.git` file that names a repository of the clone."""
    _git_folder(place, "store")
    place.repo.write({"src/.git": "gitdir: ../store\n"})


def _git_link(place: Place) -> None:
    _git_folder(place, "store")
    (place.path / "src/.git").symlink_to("../store")


def _alternates(place: Place) -> None:
    os.mkfifo(place.path / "pipe")
    info = place.path / ".git/objects/info"
    info.mkdir(exist_ok=True)
    (info / "alternates").write_text(f"{place.outside}\n../../pipe\n/dev/zero\n")


def _submodule(place: Place) -> None:
    place.repo.write(
        {
            ".gitmodules": f'[submodule "x"]\n\tpath = lib\n\turl = ext::{place.canary}\n'
            f"\tupdate = !{place.canary}\n"
        }
    )
    place.repo.git("add", ".gitmodules")
    commit = place.repo.git("rev-parse", "HEAD")
    place.repo.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    place.repo.git("commit", "-q", "-m", "submodule")
    place.config("submodule.recurse", "true", "submodule.x.update", f"!{place.canary}")


def _links(place: Place) -> None:
    names = {"out.py": str(place.outside / "secret.py"), "outdir": str(place.outside),
             "passwd.py": "/etc/passwd", "zero.py": "/dev/zero", "loop.py": "loop.py"}  # fmt: skip
    for name, target in names.items():
        (place.path / name).symlink_to(target)
    place.repo.commit({})


def _folder_became_link(place: Place) -> None:
    place.repo.commit({"lib/secret.py": "def inside_of_the_clone(value):\n    return value\n"})
    shutil.rmtree(place.path / "lib")
    (place.path / "lib").symlink_to(place.outside)


def _rule_links(place: Place) -> None:
    """Files that git or we read by name are links to what never ends."""
    for name in (".gitattributes", ".gitignore", ".copilotignore", ".gitcopilot", ".mailmap"):
        (place.path / name).symlink_to("/dev/zero")
    place.repo.commit({})


def _devices(place: Place) -> None:
    for name in ("fifo.py", ".copilotignore", "src/.gitignore"):
        os.mkfifo(place.path / name)
    here = os.open(".", os.O_RDONLY)
    os.chdir(place.path)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("sock.py")
    finally:
        os.fchdir(here)
        os.close(here)


def _names(place: Place) -> None:
    touch = f"touch {place.traces}"
    names = [f"$({touch}).py", f"`{touch}`.py", f"-c core.fsmonitor={place.canary}", "--output=x.py",
             "-n.py", ":(glob)x.py", "HEAD.py", "a\nb.py", "\x1b]0;owned\x07.py", "\u202eyp.x",
             "x.py:12", "%s%n.py"]  # fmt: skip
    flat = {name.replace("/", "\u2215"): "def odd(value):\n    return value\n" for name in names}
    place.repo.commit({**flat, b"latin\xe9.py".decode("utf-8", "surrogateescape"): "x = 1\n"})


def _tree_by_hand(place: Place) -> None:
    """Entries that no checkout would write: `..`, `.git`, an absolute name, one name twice."""
    repo = place.repo
    blob = repo.git("hash-object", "-w", "src/util.py")
    rules = repo.git("hash-object", "-w", "--stdin", stdin="* -copilot\n")
    sub = repo.git("mktree", stdin=f"100644 blob {rules}\t.gitattributes\n")
    entries = [("100644", ".gitattributes", rules), ("40000", "..", sub), ("40000", ".git", sub),
               ("40000", ".gitattributes", sub), ("100644", "/etc", blob),
               ("100644", "util.py", blob)]  # fmt: skip
    raw = b"".join(m.encode() + b" " + n.encode() + b"\0" + bytes.fromhex(o) for m, n, o in entries)
    (place.folder / "tree").write_bytes(raw)
    tree = repo.git("hash-object", "-t", "tree", "-w", "--literally", str(place.folder / "tree"))
    repo.git("update-ref", "HEAD", repo.git("commit-tree", "-m", "by hand", tree))


def _modules(place: Place) -> None:
    """Modules of the names that we import, at the top of the worktree."""
    code = f"import os; os.system({place.canary!r})\n"
    names = ("json", "git", "torch", "numpy", "faiss", "click", "sitecustomize", "usercustomize",
             "git_copilot", "encodings", "site")  # fmt: skip
    files = {f"{name}.py": code for name in names}
    place.repo.commit({**files, "git_copilot/__init__.py": code, "conftest.py": code})


SHAPES: dict[str, Build] = {
    "folder that is a repository": _embedded,
    "folder that is a bare repository": _embedded_bare,
    "folder deep below that is a repository": _embedded_deep,
    "git file that names a folder of the clone": _git_file,
    "git link that names a folder of the clone": _git_link,
    "alternates outside": _alternates,
    "submodule with commands": _submodule,
    "links out of the worktree": _links,
    "folder replaced by a link": _folder_became_link,
    "rule files that are links to a device": _rule_links,
    "pipes and sockets": _devices,
    "names that are commands": _names,
    "tree made by hand": _tree_by_hand,
    "modules of our imports' names": _modules,
}
