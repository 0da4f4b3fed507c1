"""Repositories with our hooks: with a worker that runs stub handlers, or with the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from git_copilot.assistant.diagnostics import doctor
from git_copilot.hooks import sources as sources_module
from git_copilot.hooks.install import InstallReport, install
from git_copilot.hooks.launch import WORKER_MODULE, stop_worker
from git_copilot.hooks.lock import read_pid, worker_alive
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from tests.support.commands import BIN
from tests.support.doctor_repo import DoctorRepo
from tests.support.gitrepo import GitRepo
from tests.support.index_assertions import index_repository

WORKER = """
import json, logging, os, subprocess, sys, time
from pathlib import Path
from git_copilot.hooks.worker import Pace, run_worker

state = Path(sys.argv[1])
behave = json.loads((state / "behave.json").read_text())

def handler(job):
    head = subprocess.run(["git", f"--git-dir={job.git_dir}", "rev-parse", "HEAD"],
                          capture_output=True, text=True).stdout.strip()
    entry = {"kind": job.kind, "git_dir": job.git_dir, "head": head, "pid": os.getpid(),
             "env": {k: v for k, v in os.environ.items() if k.startswith(("GIT_", "PYTHON", "VIRTUAL"))},
             "nice": os.nice(0), "leads_session": os.getsid(0) == os.getpid()}
    with (state / "began.jsonl").open("a") as out:
        out.write(json.dumps(entry) + "\\n")
    time.sleep(behave.get("sleep", 0))
    if job.kind in behave.get("poison", ()):
        raise RuntimeError("poison")
    with (state / "done.jsonl").open("a") as out:
        out.write(json.dumps(entry) + "\\n")

logging.basicConfig(filename=state / "worker.log")
sys.exit(run_worker(state, dict.fromkeys(("sync", "mine", "refresh"), handler),
    log=logging.getLogger(), pace=Pace(backoff_s=0.05, poll_s=0.05, quiet_s=behave.get("quiet", 3))))
"""


class StubWorkerRepo:
    """A repository whose worker is WORKER: its handlers do what ``behave`` says, and log it.

    ``interpreter`` is a real executable that checks how it is called and runs WORKER.
    """

    def __init__(self, repo: GitRepo, folder: Path) -> None:
        self.repo = repo
        self.state = GitRepository.discover(repo.path).state_dir
        self.spool = Spool(self.state)
        script = folder / "worker script.py"
        script.write_text(WORKER)
        self.interpreter = folder / "my python"
        self.interpreter.write_text(
            f'#!/bin/sh\n[ "$1 $2 $3" = "-P -m {WORKER_MODULE}" ] || exit 9\n'
            f'PYTHONPATH="{Path(__file__).parents[2] / ".dev"}" '
            f'exec "{sys.executable}" -P "{script}" "$4"\n'
        )
        self.interpreter.chmod(0o755)

    def install(self, **behave: object) -> InstallReport:
        report = install(GitRepository.discover(self.repo.path), str(self.interpreter))
        self.behave(**behave)
        return report

    def behave(self, **how: object) -> None:
        self.state.mkdir(exist_ok=True)
        (self.state / "behave.json").write_text(json.dumps(how))

    def jobs(self, name: str = "done", kind: str | None = None) -> list[dict]:
        path = self.state / f"{name}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if kind in (None, entry["kind"])]

    def wait_until_idle(self, timeout: float = 20) -> None:
        """Wait until nothing is queued and the worker has left by itself."""
        self.wait_for(
            lambda: self.spool.pending() == 0 and worker_alive(self.state) is None, timeout
        )

    def wait_for(self, condition: Callable[[], object], timeout: float = 20) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                log = self.state / "worker.log"
                raise AssertionError(f"timed out; {log.read_text() if log.exists() else 'no log'}")
            time.sleep(0.02)


def run_git_silently(repo: GitRepo, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run git with captured output, as an editor does; it must succeed and print nothing."""
    done = subprocess.run(
        ["git", *args],
        cwd=repo.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, **env},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return done


@pytest.fixture
def stub_worker(repo, tmp_path):
    """A repository with one commit; its worker is killed at the end of the test."""
    repo.commit({"a.txt": "a\n"})
    made = StubWorkerRepo(repo, tmp_path)
    yield made
    pid = worker_alive(made.state) and read_pid(made.state)
    if pid:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def git_silently():
    """:func:`run_git_silently`, as a fixture."""
    return run_git_silently


WORDS = "alpha beta gamma value name helper side util import return class self def app new first"


@pytest.fixture(scope="session")
def embedder_folder(tmp_path_factory):
    """The folder of a real static embedder of a few words, which loads in a millisecond."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: i for i, word in enumerate(["[UNK]", *WORDS.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), 16)).astype(np.float32)
    folder = tmp_path_factory.mktemp("embedder")
    StaticModel(vectors, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_embedder(embedder_folder, hermetic, tmp_path, monkeypatch):
    """Configures that embedder for the user, an empty model cache, and no automatic refresh."""
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    config = hermetic / ".gitconfig"
    config.write_text(
        f"{config.read_text()}[copilot]\n\tembedder = {embedder_folder}\n\trefreshCommits = 0\n"
    )


@pytest.fixture
def found(repo):
    """The repository as a :class:`GitRepository`."""
    return GitRepository.discover(repo.path)


@pytest.fixture
def indexed_repo(repo, tiny_embedder, monkeypatch):
    """A repository with an index and the real worker, which is stopped at the end of the test."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    repo.commit({"src/util.py": "def alpha(value):\n    return value\n"})
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    index_repository(found)
    yield repo
    stop_worker(found.state_dir)


@pytest.fixture
def doctor_repo(repo, tiny_embedder, hermetic, runtime, tmp_path, monkeypatch):
    """A healthy repository, under a git that does not read hooks from its configuration."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    config = hermetic / ".gitconfig"
    config.write_text(f"{config.read_text()}\tmodel = {model}\n")
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))
    monkeypatch.setattr(doctor, "LOW_MB", 0)
    monkeypatch.setattr(doctor, "FULL_MB", 0)
    repo.commit({"src/util.py": "def alpha(value):\n    return value\n"})
    monkeypatch.chdir(repo.path)
    made = DoctorRepo(repo)
    install(made.found, sys.executable)
    index_repository(made.found)
    return made
