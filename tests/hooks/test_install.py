"""Installing keeps existing hooks working, and uninstalling restores them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from git_copilot.hooks import block
from git_copilot.hooks.events import HOOKS
from git_copilot.hooks.install import install, uninstall
from git_copilot.hooks.sources import installed_hooks
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository
from tests.support.folders import folder_content, write_file
from tests.support.gitrepo import GitRepo

# Each notes its arguments, its input and its name, and exits 7.
SH = '#!/bin/sh\nread line\necho "$#:$*:$line:${0##*/}" >>"$OUT"\nexit 7\n'
BASH = (
    "#!/usr/bin/env bash\nset -euo pipefail\ntrap 'exit 7' EXIT\nread -r line || true\n"
    'echo "$#:$*:$line:${0##*/}" >>"$OUT"\ncd /; false\n'
)
PYTHON = (
    f"#!{sys.executable}\nimport os, sys\n"
    "line = sys.stdin.readline().strip(); args = sys.argv[1:]\n"
    "name = os.path.basename(sys.argv[0]).removesuffix('.copilot-original')\n"
    "with open(os.environ['OUT'], 'a') as out:\n"
    "    out.write(f\"{len(args)}:{' '.join(args)}:{line}:{name}\\n\")\nsys.exit(7)\n"
)
POLYGLOT = (
    f"#!/bin/sh\n'''exec' {sys.executable} \"$0\" \"$@\"\n' '''\n" + PYTHON.partition("\n")[2]
)
FOREIGN = {
    "sh": SH,
    "bash": BASH,
    "python": PYTHON,
    "polyglot": POLYGLOT,
    "no shebang": SH.partition("\n")[2],
    "no final newline": SH.removesuffix("\n"),
    "shebang only": "#!/bin/sh",
    "empty": "",
    "latin-1": SH.replace("exit 7", "# caf\udce9\nexit 7"),
}


@pytest.fixture
def hooks(found):
    return found.common_dir / "hooks"


def test_install_adds_four_hooks_and_uninstall_removes_them(found, hooks):
    before = folder_content(hooks)
    report = install(found)
    assert (report.hooks, report.changed, report.notes) == (list(HOOKS), True, ())
    assert installed_hooks(found).installed == list(HOOKS)
    assert installed_hooks(found).via == "native"
    assert (found.state_dir / "python").read_text() == f"{sys.executable}\n"
    assert os.access(hooks / "post-commit", os.X_OK)
    once = folder_content(found.common_dir)
    again = install(found)
    assert (again.hooks, again.changed) == (list(HOOKS), False)
    assert folder_content(found.common_dir) == once
    gone = uninstall(found)
    assert (gone.hooks, gone.changed, gone.notes) == (list(HOOKS), True, ())
    assert folder_content(hooks) == before
    assert (installed_hooks(found).installed, installed_hooks(found).via) == ([], None)
    assert not uninstall(found).changed


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("mode", [0o755, 0o750, 0o644])
def test_uninstall_restores_every_kind_of_hook(found, hooks, kind, mode):
    write_file(hooks / "post-merge", FOREIGN[kind], mode)
    before = folder_content(hooks)
    assert install(found).changed
    once = folder_content(hooks)
    assert once["post-merge"] != before["post-merge"]
    assert not install(found).changed
    assert folder_content(hooks) == once
    uninstall(found)
    assert folder_content(hooks) == before


@pytest.mark.parametrize("kind", ["sh", "bash", "python", "polyglot", "no shebang", "latin-1"])
def test_a_wrapped_hook_keeps_its_arguments_input_name_and_exit_code(stub_worker, tmp_path, kind):
    out = tmp_path / "out"
    hook = write_file(stub_worker.repo.git_dir / "hooks/post-checkout", FOREIGN[kind])
    stub_worker.install()
    done = subprocess.run(
        # git, too, hands a script without a shebang to sh
        [*(["sh"] if kind == "no shebang" else []), hook, "one", "two words", "1"],
        cwd=stub_worker.repo.path, input=b"a line\n", capture_output=True, env={**os.environ, "OUT": str(out)},
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")
    assert out.read_text() == "3:one two words 1:a line:post-checkout\n"
    stub_worker.wait_until_idle()
    assert [job["kind"] for job in stub_worker.jobs()] == ["sync", "mine", "refresh"]


def test_git_sees_the_exit_code_of_the_wrapped_hook(stub_worker):
    write_file(stub_worker.repo.git_dir / "hooks/post-checkout", "#!/bin/sh\nexit 7\n")
    stub_worker.install()
    done = subprocess.run(
        ["git", "switch", "-q", "-c", "x"], cwd=stub_worker.repo.path, check=False
    )
    assert done.returncode == 1  # git folds it; without the hook it would be 0
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")


def test_a_non_executable_hook_stays_off(stub_worker, tmp_path):
    write_file(
        stub_worker.repo.git_dir / "hooks/post-commit",
        f"#!/bin/sh\ntouch '{tmp_path}/ran'\n",
        0o644,
    )
    stub_worker.install()
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("where", ["inside", "outside", "dangling"])
def test_a_symlinked_hook_is_wrapped_without_changing_its_target(stub_worker, tmp_path, where):
    hooks = stub_worker.repo.git_dir / "hooks"
    target = (
        stub_worker.repo.path / "tools/all.sh" if where == "inside" else tmp_path / "shared/all.sh"
    )
    text = f'#!/bin/sh\necho "${{0##*/}} $#" >>"{tmp_path}/out"\n'
    if where != "dangling":
        write_file(target, text)
    link = "../../tools/all.sh" if where == "inside" else str(target)
    (hooks / "post-commit").symlink_to(link)
    (hooks / "post-merge").symlink_to(link)
    before = folder_content(hooks)
    stub_worker.install()
    once = folder_content(hooks)
    assert not install(
        GitRepository.discover(stub_worker.repo.path), str(stub_worker.interpreter)
    ).changed
    assert folder_content(hooks) == once
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")
    if where != "dangling":
        assert target.read_text() == text
        assert (tmp_path / "out").read_text() == "post-commit 0\n"
    uninstall(GitRepository.discover(stub_worker.repo.path))
    assert folder_content(hooks) == before


def test_an_older_block_is_replaced_in_place(found, hooks):
    write_file(hooks / "post-commit", SH)
    write_file(hooks / "post-merge", PYTHON)
    before = folder_content(hooks)
    install(found)
    current = folder_content(hooks)
    for name in HOOKS:
        path = hooks / name
        path.write_bytes(path.read_bytes().replace(b"trap '' HUP INT", b"echo 0.0.1"))
    assert folder_content(hooks) != current
    assert install(found).changed
    assert folder_content(hooks) == current
    uninstall(found)
    assert folder_content(hooks) == before


def test_lines_added_after_installation_are_kept(found, hooks):
    write_file(hooks / "post-merge", PYTHON)
    install(found)
    for name in ("post-commit", "post-merge"):
        with (hooks / name).open("a") as file:
            file.write("echo mine\n")
    report = uninstall(found)
    assert (hooks / "post-commit").read_text() == "#!/bin/sh\necho mine\n"
    assert (hooks / "post-merge").read_text().endswith("echo mine\n")
    assert (hooks / "post-merge.copilot-original").read_text() == PYTHON
    assert block.START not in (hooks / "post-merge").read_bytes()
    assert "post-merge was changed" in report.notes[0]


def test_an_install_killed_halfway_is_completed_by_the_next(found, hooks, monkeypatch):
    write_file(hooks / "post-commit", PYTHON)
    before = folder_content(hooks)
    with monkeypatch.context() as patch:
        patch.setattr(
            "git_copilot.hooks.files.write_if_changed", lambda *_: (_ for _ in ()).throw(KeyError)
        )
        with pytest.raises(KeyError):
            install(found)
    assert (hooks / "post-commit").read_text() == PYTHON  # never a moment without the hook
    assert (hooks / "post-commit.copilot-original").exists()
    uninstall(found)
    assert folder_content(hooks) == before
    install(found)
    uninstall(found)
    assert folder_content(hooks) == before


def test_somebody_elses_file_in_the_way_is_not_overwritten(found, hooks):
    write_file(hooks / "post-commit", PYTHON)
    write_file(hooks / "post-commit.copilot-original", "precious")
    with pytest.raises(CopilotError, match=r"already exists; .*move it"):
        install(found)
    assert (hooks / "post-commit.copilot-original").read_text() == "precious"


def test_a_missing_hooks_folder_is_created_and_removed_again(tmp_path):
    made = GitRepo.init(tmp_path / "bare ü.git", "--bare", "--template=")
    repo = GitRepository.discover(made.path)
    assert not (made.path / "hooks").exists()
    assert install(repo).hooks == list(HOOKS)
    assert installed_hooks(repo).via == "native"
    uninstall(repo)
    assert not (made.path / "hooks").exists()


def test_a_linked_worktree_shares_the_hooks(repo, found, hooks, tmp_path):
    repo.commit({"a": "a"})
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "second tree"))
    linked = GitRepository.discover(tmp_path / "second tree")
    assert install(linked).changed
    assert block.START in (hooks / "post-commit").read_bytes()
    assert not install(found).changed
    assert installed_hooks(linked) == installed_hooks(found)


def test_a_submodule_has_its_own_hooks(repo, tmp_path):
    inner = GitRepo.init(tmp_path / "inner")
    inner.commit({"i": "i"})
    repo.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub"
    )
    found = GitRepository.discover(repo.path / "sub")
    install(found)
    assert block.START in (repo.git_dir / "modules/sub/hooks/post-commit").read_bytes()
    assert not (repo.git_dir / "hooks/post-commit").exists()
    assert found.state_dir == repo.git_dir / "modules/sub/copilot"


def test_an_unwritable_hooks_folder_is_a_one_line_error(found, hooks):
    for path in hooks.iterdir():
        path.unlink()
    hooks.rmdir()
    hooks.write_text("a file")
    with pytest.raises(CopilotError) as caught:
        install(found)
    assert "cannot write" in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_an_interpreter_that_cannot_run_is_refused(found, tmp_path):
    with pytest.raises(CopilotError, match="is not executable"):
        install(found, str(tmp_path / "nothing"))
    assert not found.state_dir.exists()


def test_installing_with_another_interpreter_records_it(found, tmp_path):
    install(found)
    other = write_file(tmp_path / "py thon", "#!/bin/sh\n")
    assert install(found, str(other)).changed
    assert (found.state_dir / "python").read_text() == f"{other}\n"
