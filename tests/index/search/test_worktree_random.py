"""Whatever is done to a worktree, a search at once shows what `git status` and HEAD imply: every
text that lies there now, and none that does not."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from git_copilot.assistant.completion.workspace import Workspace
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.search.retriever import Query
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.gitrepo import GitRepo

PATHS = st.sampled_from(["a.py", "b.py", "lib/c.py", "lib/deep/d.py", "new.py", "B.py"])
FOLDERS = st.sampled_from(["lib", "lib/deep"])
WHICH = st.integers(0, 9)
START = ["a.py", "b.py", "lib/c.py", "lib/deep/d.py"]
IGNORE, COPILOT = ".gitignore", ".copilotignore"


class Worktrees(RuleBasedStateMachine):
    """Random edits of a worktree. Each text contains one name that is nowhere else."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.repo = GitRepo.init(self.folder / "r")
        self.names = [f"marker_{number:04}" for number in range(400)]
        self.given = 0
        self.repo.commit({path: self.text() for path in START})
        self.repo.commit({path: self.text() for path in START[:2]})
        found = GitRepository.discover(self.repo.path)
        trust_repository(found.state_dir)
        Database(found.state_dir / DATABASE_NAME, create=True).close()
        self.workspace = Workspace(found)

    def text(self):
        self.given += 1
        name = self.names[self.given]
        return f"def {name}(value):\n    return value\n"

    def at(self, path):
        """Make way for a file: links and files where folders should be are removed."""
        target = self.repo.path / path
        for each in [*reversed(target.relative_to(self.repo.path).parents), Path(path)][1:]:
            here = self.repo.path / each
            if here.is_symlink() or (here.is_file() and here != target):
                here.unlink()
        if target.is_fifo():  # it would wait for a reader
            target.unlink()
        if target.is_dir():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @rule(path=PATHS)
    def edit(self, path):
        self.at(path).write_text(self.text())

    @rule(path=PATHS)
    def edit_and_set_the_time_back(self, path):
        target = self.at(path)
        times = target.stat() if target.exists() else None
        target.write_text(self.text())
        if times:
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))

    @rule(path=PATHS)
    def touch(self, path):
        target = self.repo.path / path
        if target.is_file() and not target.is_symlink():
            target.write_bytes(target.read_bytes())

    @rule(path=PATHS)
    def remove(self, path):
        target = self.repo.path / path
        if target.is_symlink() or target.is_file():
            target.unlink()

    @rule(folder=FOLDERS)
    def remove_a_folder(self, folder):
        target = self.repo.path / folder
        if target.is_symlink() or target.is_file():
            target.unlink()
        else:
            shutil.rmtree(target, ignore_errors=True)

    @rule(path=PATHS, mode=st.sampled_from([0o644, 0o755]))
    def chmod(self, path, mode):
        target = self.repo.path / path
        if target.is_file() and not target.is_symlink():
            target.chmod(mode)

    @rule(path=PATHS)
    def turn_into_a_folder(self, path):
        target = self.at(path)
        target.unlink(missing_ok=True)
        target.mkdir()
        (target / "inner.py").write_text(self.text())

    @rule(folder=FOLDERS)
    def turn_a_folder_into_a_link(self, folder):
        outside = self.folder / "outside"
        outside.mkdir(exist_ok=True)
        for name in ("c.py", "d.py", "e.py"):
            (outside / name).write_text("def marker_outside(value):\n    return value\n")
        target = self.repo.path / folder
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
            target.symlink_to(outside)

    @rule(path=PATHS)
    def turn_into_a_pipe(self, path):
        target = self.at(path)
        target.unlink(missing_ok=True)
        os.mkfifo(target)

    @rule(old=PATHS, new=PATHS, by_git=st.booleans())
    def move(self, old, new, by_git):
        source = self.repo.path / old
        if old == new or source.is_symlink() or not source.is_file():
            return
        if by_git:
            self.repo.git("mv", "-f", old, new, check=False)
        else:
            text = source.read_bytes()
            source.unlink()
            self.at(new).write_bytes(text)

    @rule(path=PATHS, intent=st.booleans())
    def add(self, path, intent):
        self.repo.git("add", *(["-N"] if intent else []), "--", path, check=False)

    @rule(text=st.sampled_from(["new.py\n", "lib/\n", "*.py\n", None]))
    def ignore(self, text):
        self.write_rules(IGNORE, text)

    @rule(text=st.sampled_from(["new.py\n", "lib/\n", "a.py\n", None]))
    def leave_out(self, text):
        self.write_rules(COPILOT, text)

    @rule(text=st.sampled_from(["new.py\n", ""]))
    def exclude(self, text):
        (self.repo.git_dir / "info/exclude").write_text(text)

    def write_rules(self, name, text):
        if text is None:
            (self.repo.path / name).unlink(missing_ok=True)
        else:
            (self.repo.path / name).write_text(text)

    @rule(command=st.sampled_from([
        ["stash"], ["stash", "-u"], ["stash", "pop"], ["reset"], ["reset", "--hard"], ["checkout", "HEAD~1"],
        ["checkout", "main"], ["commit", "-am", "x"], ["commit", "-m", "staged"], ["clean", "-fdq"],
        ["checkout", "--", "."], ["rm", "--cached", "-r", "lib"], ["update-index", "--refresh"],
        ["checkout", "HEAD~1", "--", "a.py"],
        ["sparse-checkout", "set", "--no-cone", "/*", "!lib"], ["sparse-checkout", "disable"],
    ]))  # fmt: skip
    def git(self, command):
        self.repo.git(*command, check=False)

    @rule()
    def commit_everything(self):
        self.repo.git("add", "-A", check=False)
        self.repo.git("commit", "-qm", "all", check=False)

    @invariant()
    def a_search_shows_what_is_there(self):
        if not hasattr(self, "workspace"):
            return
        wanted = self.there()
        self.workspace.look()
        self.workspace.catch_up(None)
        searcher = self.workspace.searcher(None, "")
        query = Query("value", names=tuple(self.names))
        hits, _, current = self.workspace.find(lambda o: searcher.search(query, 100, None, o))
        assert current
        assert sorted((h.path, name_in(h.text)) for h in hits if "marker" in h.text) == wanted

    def there(self):
        """Paths and names that git alone reports for HEAD and `git status`, each text once."""
        head = {
            path: meta.split()[2]
            for meta, path in (
                line.split("\t") for line in self.repo.git("ls-tree", "-r", "HEAD").splitlines()
            )
            if meta.startswith("100")
        }
        texts = {path: self.repo.git("cat-file", "blob", oid) for path, oid in head.items()}
        for path in self.status():
            texts.pop(path, None)
            target = self.repo.path / path
            linked = any(p.is_symlink() for p in (target, *target.parents))
            if not linked and target.is_file():
                texts[path] = target.read_text()
        out = self.left_out(sorted(texts))
        kept = {path: text for path, text in texts.items() if path not in out}
        first = {}
        for path in sorted(kept):
            if "marker" in kept[path]:
                first.setdefault(name_in(kept[path]), path)
        return sorted((path, name) for name, path in first.items())

    def status(self, *paths):
        listed = ["status", "--porcelain", "-z", "--no-renames", "-uall", "--", *paths]
        # A letter before it, since what is printed is stripped.
        told = self.repo.git("-c", f"alias.told=!printf x; git {' '.join(listed)}", "told")
        return [entry[3:] for entry in told[1:].split("\0") if entry]

    def left_out(self, paths):
        """Paths that the `.copilotignore` of the worktree excludes."""
        rules = self.repo.path / COPILOT
        if not rules.exists() and not self.status(COPILOT):  # sparse checkout
            text = self.repo.git("show", f"HEAD:{COPILOT}", check=False)
        else:
            text = rules.read_text() if rules.exists() else ""
        if self.repo.git("check-ignore", "--", COPILOT, check=False):
            text = self.repo.git("show", f"HEAD:{COPILOT}", check=False)
        given = set(text.split())
        return {p for p in paths if p in given or ("lib/" in given and p.startswith("lib/"))}

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()
            shutil.rmtree(self.folder)


def name_in(text):
    return text.split("def ")[1].split("(")[0]


TestWorktrees = pytest.mark.slow(Worktrees.TestCase)
TestWorktrees.settings = settings(
    max_examples=6,
    stateful_step_count=15,
    deadline=None,
    # A smaller example would take minutes to find.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
