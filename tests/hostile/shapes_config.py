"""Repositories whose own configuration names commands: the whole `.git` came from somebody else."""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.place import Place

Build = Callable[[Place], None]


def _keys(*names: str, attributes: str = "") -> Build:
    """A repository in which each key names the canary; ``attributes`` are committed."""

    def build(place: Place) -> None:
        if attributes:
            place.repo.commit({".gitattributes": attributes})
        for name in names:
            place.config(name, f"{place.canary} {name} #")
        place.repo.write({"src/app.py": "def changed(value):\n    return value\n"})

    return build


def _hooks_folder(place: Place) -> None:
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc"):
        place.script(f"tools/{hook}")
    place.config("core.hooksPath", "tools")


def _own_hooks(place: Place) -> None:
    for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "update"):
        place.script(f".git/hooks/{hook}")


def _included(place: Place) -> None:
    place.repo.commit({"settings": f"[core]\n\tfsmonitor = {place.canary}\n"})
    place.config("include.path", "../settings", "includeIf.gitdir:/**.path", "../settings")


def _promisor(place: Place) -> None:
    """A blob is missing, and the remote that promises it is a command."""
    place.config(
        "core.repositoryFormatVersion", "1", "extensions.partialClone", "origin",
        "remote.origin.url", f"ext::{place.canary} %S", "remote.origin.promisor", "true",
        "remote.origin.partialclonefilter", "blob:none", "protocol.ext.allow", "always",
    )  # fmt: skip
    oid = place.repo.git("rev-parse", "HEAD:src/util.py")
    (place.path / ".git/objects" / oid[:2] / oid[2:]).unlink()


def _connected(place: Place) -> None:
    """A missing blob, promised by a host that listens."""
    _promisor(place)
    url = f"http://127.0.0.1:{place.port}/x.git"
    place.repo.git("config", "--replace-all", "remote.origin.url", url)


def _endpoint(place: Place) -> None:
    place.config(
        "copilot.endpoint", f"http://127.0.0.1:{place.port}", "copilot.endpointModel", "stolen",
        "copilot.endpointPrompt", "text", "copilot.fim", "git-copilot",
    )  # fmt: skip


def _model(place: Place) -> None:
    model = place.path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"auto_map": {"AutoModel": "code.Evil"}}')
    (model / "code.py").write_text(f"import os; os.system({place.canary!r})\n")
    (model / "pytorch_model.bin").write_bytes(
        b"cos\nsystem\n(S'" + place.canary.encode() + b"'\ntR."
    )
    place.config("copilot.model", str(model), "copilot.embedder", str(model))


def _worktree_elsewhere(place: Place) -> None:
    place.config("core.worktree", str(place.outside))


def _fifos(place: Place) -> None:
    """Files that git would read and that never end or never begin."""
    import os

    os.mkfifo(place.path / "pipe")
    pipe = str(place.path / "pipe")
    place.config("core.excludesFile", pipe, "commit.template", pipe, "blame.ignoreRevsFile", pipe)


FILTERED = "*.py filter=evil diff=evil merge=evil\n"
SHAPES: dict[str, Build] = {
    "core.fsmonitor": _keys("core.fsmonitor"),
    "core.hooksPath of the worktree": _hooks_folder,
    "hooks of its own": _own_hooks,
    "clean filter": _keys(
        "filter.evil.clean", "filter.evil.smudge", "filter.evil.required", attributes=FILTERED
    ),
    "process filter": _keys("filter.evil.process", attributes=FILTERED),
    "LFS filter": _keys(
        "filter.lfs.clean", "filter.lfs.smudge", "filter.lfs.process", attributes="* filter=lfs\n"
    ),
    "textconv": _keys("diff.evil.textconv", "diff.evil.cachetextconv", attributes=FILTERED),
    "external diff": _keys("diff.external", "diff.evil.command", attributes=FILTERED),
    "merge driver": _keys("merge.evil.driver", "merge.tool", attributes=FILTERED),
    "pagers": _keys("core.pager", "pager.log", "pager.diff", "pager.config", "pager.status"),
    "editors": _keys("core.editor", "sequence.editor", "core.askPass", "credential.helper"),
    "transports": _keys("core.sshCommand", "core.gitProxy", "uploadpack.packObjectsHook"),
    "signatures": _keys("gpg.program", "gpg.ssh.program", "gpg.x509.program", "log.showSignature"),
    "alternate refs command": _keys("core.alternateRefsCommand"),
    "trailers and filters of interaction": _keys(
        "trailer.x.command", "trailer.x.cmd", "interactive.diffFilter", "submodule.x.update"
    ),
    "aliases": _keys("alias.status", "alias.rev-parse", "alias.cat-file", "alias.copilot"),
    "includes of the worktree": _included,
    "promisor remote that is a command": _promisor,
    "promisor remote that is a host": _connected,
    "endpoint": _endpoint,
    "model and embedder of the clone": _model,
    "core.worktree elsewhere": _worktree_elsewhere,
    "configured files that are pipes": _fifos,
}
