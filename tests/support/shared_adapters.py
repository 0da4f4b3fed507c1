"""Repositories with adapters, a remote between them, and commits that nobody would make."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import write_training_holes
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hole
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from tests.support.gitrepo import GitRepo

MODEL = "tiny-model"
CONFIG = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "bias": "none",
          "base_model_name_or_path": MODEL, "target_modules": ["q_proj"], "modules_to_save": None,
          "megatron_core": "megatron.core", "inference_mode": True}  # fmt: skip
COMMIT = "1" * 40


def safetensors(fill=1, name="base_model.model.q_proj.lora_A.weight"):
    header = json.dumps({name: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes([fill]) * 16


def add_adapter(state: Path, second: int = 0, promoted: bool = True, **facts) -> str:
    """Store an adapter as if ``second`` seconds after the epoch."""
    identity = adapter_store.new_id(second)
    report = {"base_model": MODEL, "promoted": promoted, "delta_em": 1.5,
              "commits": {"train": [COMMIT, "2" * 40], "held_out": ["3" * 40]}, **facts}  # fmt: skip

    def fill(folder):
        (folder / adapter_store.CONFIG).write_text(json.dumps(CONFIG))
        (folder / adapter_store.WEIGHTS).write_bytes(safetensors(second % 250 + 1))
        (folder / adapter_store.COMMITS).write_text(f"{COMMIT}\n")
        write_training_holes(folder, [Hole(COMMIT, COMMIT, "ä.py", 0, 9, "line", "", 0, "python")])
        (folder / adapter_store.PAGE).write_text("<!doctype html>\n<p>a &lt; b</p>\n")
        (folder / "notes.txt").write_text("not shared\n")

    adapter_store.create(state, identity, fill, report)
    return identity


def adapter_files(folder: Path) -> dict[str, bytes]:
    """The files of an adapter that are shared."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "notes.txt"}


class Member:
    """One person's repository."""

    def __init__(self, repo: GitRepo) -> None:
        self.repo = repo
        trust_repository(repo.git_dir / "copilot")
        repo.git("config", "copilot.model", MODEL)
        self.git = GitRepository.discover(repo.path)
        self.state = self.git.state_dir

    def folder(self, adapter: str) -> Path:
        return adapter_store.adapters_dir(self.state) / adapter

    def command(self, *argv: str) -> tuple[int | None, str, str]:
        """Run a command; its exit code and what it wrote to stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        service = Service()
        try:
            with contextlib.chdir(self.repo.path):
                terminal = Terminal(self.repo.path, lambda: b"", out, err)
                code = dispatch([*argv], terminal, service)
        finally:
            service.close()
        return code, out.getvalue(), err.getvalue()

    def json_of(self, *argv: str):
        code, out, _ = self.command(*argv, "--json")
        assert code == 0, out
        return json.loads(out)

    def run(self, *argv: str) -> tuple[int | None, str, str]:
        """The same for ``adapter``."""
        return self.command("adapter", *argv)

    def ok(self, *argv: str) -> str:
        code, out, _ = self.run(*argv)
        assert code == 0, (code, out)
        return out

    def json(self, *argv: str):
        return self.json_of("adapter", *argv)

    def refused(self, *argv: str) -> str:
        """The one line of a command that fails, with a remedy."""
        try:
            code, out, _ = self.run(*argv)
        except CopilotError as exc:
            assert exc.hint and "\n" not in str(exc), str(exc)
            return str(exc)
        raise AssertionError((code, out))

    def installed(self) -> list[str]:
        """All that is in the adapters' folder, also what nobody would list."""
        folder = adapter_store.adapters_dir(self.state)
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def shared_remote(tmp_path: Path) -> Path:
    return GitRepo.init(tmp_path / "remote.git", "--bare").path


def member(tmp_path: Path, name: str, remote: Path) -> Member:
    """A clone of ``remote``."""
    repo = GitRepo.init(tmp_path / name)
    repo.git("remote", "add", "origin", str(remote))
    return Member(repo)


def craft(
    repo: GitRepo,
    adapter: str,
    files: dict[str, bytes],
    extra="",
    *,
    ref=None,
    base=MODEL,
    sha=None,
) -> str:
    """Put any commit under an adapter's ref, here; return its id.

    :param extra: more lines for `git mktree`.
    """
    rows = []
    for name, data in files.items():
        path = repo.git_dir / "crafted"
        path.write_bytes(data)
        rows.append(f"100644 blob {repo.git('hash-object', '-w', str(path))}\t{name}")
    tree = repo.git("mktree", "--missing", stdin="\n".join(rows) + f"\n{extra}")
    digest = sha or hashlib.sha256(files.get(adapter_store.WEIGHTS, b"")).hexdigest()
    text = f"copilot adapter {adapter}\n\nBase-Model: {base}\nWeights-SHA256: {digest}\n"
    oid = repo.git("commit-tree", tree, stdin=text)
    repo.git("update-ref", ref or f"refs/copilot/adapters/{adapter}", oid)
    return oid


def configure_ssh(repo: GitRepo, key: Path, *, allowed: Path | None = None) -> None:
    repo.git("config", "gpg.format", "ssh")
    repo.git("config", "user.signingKey", f"{key}.pub")
    if allowed is not None:
        repo.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
