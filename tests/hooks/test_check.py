"""Staged lines are checked for secrets, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from git_copilot.hooks import check, run
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import revoke_trust, trust_repository
from tests.support.gitrepo import GitRepo

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_" + "a1B2c3D4e" * 4
LINE = f'token = "{TOKEN}"\n'
KEY = "".join(f"{x}\n" for x in (
    "-----BEGIN RSA PRIVATE " + "KEY-----", "MIIEpAIBAAKCAQEA1c7z", "-----END RSA PRIVATE KEY-----",
))  # fmt: skip
FOUND = "looks like a secret (GitHub Token)"
HOOK = f'#!/bin/sh\nexec "{sys.executable}" -P -m git_copilot.hooks.run --secrets\n'
BLIND = (
    "import sys; sys.modules['detect_secrets'] = None\n"
    "from git_copilot.hooks.run import main; sys.exit(main(['--secrets', *sys.argv[1:]]))"
)


@pytest.fixture
def check_staged(repo, monkeypatch, capfd):
    """Writes and stages files in a repository with one commit, runs the check there, and gives
    its exit code and the lines that it printed."""
    repo.commit({"old.py": "a = 1\n" + LINE, "other.py": "x = 1\n"})
    monkeypatch.chdir(repo.path)

    def look(files, *args):
        repo.write(files)
        repo.git("add", "-A")
        capfd.readouterr()
        code = run.main(["--secrets", *args])
        out, err = capfd.readouterr()
        assert TOKEN not in out + err and err == ""
        return code, out.splitlines()

    return look


def test_an_added_secret_is_reported_without_its_value(check_staged):
    code, lines = check_staged({"new.py": "a = 1\n" + LINE})
    assert (code, lines[0]) == (0, f"new.py:2: {FOUND}")
    assert len(lines) == 2 and "pragma: allowlist secret" in lines[1]


def test_a_commit_without_secrets_prints_nothing(check_staged):
    assert check_staged({}) == (0, [])
    assert check_staged({"new.py": "a = 1\n"}, "--refuse") == (0, [])


def test_only_added_lines_are_checked(check_staged):
    assert check_staged({"old.py": "a = 2\n" + LINE + "b = 1\n"}) == (0, [])
    code, lines = check_staged({"old.py": "a = 2\nz = 0\n" + LINE + LINE})
    assert code == 0 and len(lines) == 2
    assert lines[0].startswith(("old.py:3:", "old.py:4:"))  # git may call either the new one


def test_staged_content_is_checked_not_the_working_tree(check_staged, repo):
    check_staged({"new.py": LINE})
    repo.write({"new.py": "a = 1\n", "other.py": LINE})
    code = run.main(["--secrets", "--refuse"])
    assert code == 1
    repo.write({"new.py": "a = 1\n"})
    repo.git("add", "new.py")
    repo.write({"new.py": LINE})
    assert run.main(["--secrets", "--refuse"]) == 0


@pytest.mark.parametrize("way", ["option", "setting"])
def test_a_secret_refuses_the_commit_when_so_configured(check_staged, repo, way):
    if way == "setting":
        repo.git("config", "copilot.secrets", "refuse")
    code, lines = check_staged({"new.py": LINE}, *(["--refuse"] if way == "option" else []))
    assert (code, len(lines)) == (1, 2)
    repo.git("rm", "-q", "--cached", "new.py")
    (repo.path / "new.py").unlink()
    assert check_staged({})[0] == 0


def test_an_invalid_setting_only_warns(check_staged, repo):
    repo.git("config", "copilot.secrets", "always")
    code, lines = check_staged({"new.py": LINE})
    assert code == 0 and "copilot.secrets is 'always', not warn or refuse" in lines[0]
    assert FOUND in lines[1]


def test_a_private_key_is_one_finding_and_key_files_are_checked(check_staged):
    _, lines = check_staged({"server.pem": KEY, "two.txt": KEY + "\n\nother words here\n" + KEY})
    places = [line.partition(" ")[0] for line in lines[:-1]]
    assert places == ["server.pem:1:", "two.txt:1:", "two.txt:7:"]


def test_lock_files_binaries_huge_files_links_and_allowed_lines_are_skipped(check_staged, repo):
    (repo.path / "link").symlink_to(TOKEN)
    files = {"poetry.lock": LINE, "data.bin": b"\0" + LINE.encode(), "ok.py": LINE[:-1] + "  # pragma: allowlist secret\n"}  # fmt: skip
    assert check_staged({**files, "huge.txt": "x\n" * 3_000_000 + LINE}) == (0, [])


def test_odd_file_names_are_checked_and_escaped(check_staged, repo):
    odd = b"caf\xe9 :x.py"
    for text in ("a = 1\n", "a = 1\n" + LINE):
        repo.git("commit", "-q", "--allow-empty", "-m", "odd")
        (repo.path / os.fsdecode(odd)).write_text(text)
        repo.git("add", "-A")
    command = [sys.executable, "-m", "git_copilot.hooks.run", "--secrets"]
    done = subprocess.run(command, check=True, capture_output=True)
    assert f'"caf\\351 :x.py":2: {FOUND}\n'.encode() in done.stdout


def test_the_first_commit_is_checked(tmp_path, monkeypatch, capfd):
    fresh = GitRepo.init(tmp_path / "fresh")
    fresh.write({"a.py": LINE})
    fresh.git("add", "-A")
    monkeypatch.chdir(fresh.path)
    assert run.main(["--secrets"]) == 0
    assert f"a.py:1: {FOUND}" in capfd.readouterr().out


@pytest.mark.parametrize("refuse", [False, True])
def test_internal_errors_are_one_line_and_let_the_commit_pass(tmp_path, monkeypatch, capfd, refuse):
    monkeypatch.chdir(tmp_path)
    assert run.main(["--secrets", *["--refuse"] * refuse]) == refuse
    out = capfd.readouterr().out
    assert out.count("\n") == 1 and "is not in a Git repository" in out


# --- in real commits -------------------------------------------------------------------------


@pytest.fixture
def repo_with_hook(repo):
    repo.commit({"a.py": "a = 1\n", "b.py": "b = 1\n", "sub/c.py": "c = 1\n"})
    hook = repo.git_dir / "hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)
    repo.git("config", "copilot.secrets", "refuse")
    return repo


def commit(repo, *args, cwd=None):
    done = subprocess.run(
        ["git", "commit", "-m", "x", *args], cwd=cwd or repo.path, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_commit_all_and_partial_commits_are_checked_in_their_own_index(repo_with_hook):
    repo_with_hook.write({"a.py": "a = 1\n" + LINE, "b.py": "b = 2\n"})
    assert commit(repo_with_hook, "-q", "b.py") == (0, "")
    code, out = commit(repo_with_hook, "-a")
    assert code == 1 and f"a.py:2: {FOUND}" in out
    repo_with_hook.write({"sub/c.py": LINE})
    code, out = commit(repo_with_hook, "c.py", cwd=repo_with_hook.path / "sub")
    assert code == 1 and f"sub/c.py:1: {FOUND}" in out and "a.py" not in out


def test_the_check_works_in_a_linked_worktree(repo_with_hook, tmp_path):
    repo_with_hook.git("worktree", "add", "-q", str(tmp_path / "linked"))
    (tmp_path / "linked/a.py").write_text(LINE)
    code, out = commit(repo_with_hook, "-a", cwd=tmp_path / "linked")
    assert code == 1 and f"a.py:1: {FOUND}" in out
    repo_with_hook.git("config", "copilot.secrets", "warn")
    code, out = commit(repo_with_hook, "-q", "-a", cwd=tmp_path / "linked")
    assert code == 0 and f"a.py:1: {FOUND}" in out


@pytest.mark.slow
def test_the_check_works_through_pre_commit(repo, hermetic, monkeypatch):
    clientlib = pytest.importorskip("pre_commit.clientlib")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(hermetic / "pre-commit"))
    (ours,) = (h for h in clientlib.load_manifest(ROOT / ".pre-commit-hooks.yaml")
               if h["id"] == "copilot-secrets")  # fmt: skip
    assert (ours["stages"], ours["verbose"], ours["pass_filenames"]) == (
        ["pre-commit"],
        True,
        False,
    )
    assert ours["entry"] == "git-copilot-hook --secrets"
    assert any(d.startswith("detect-secrets") for d in ours["additional_dependencies"])

    def configure(args):
        entry = f"{sys.executable} -m git_copilot.hooks.run --secrets"
        return (
            "repos:\n- repo: local\n  hooks:\n  - {id: copilot-secrets, name: s, language: system,"
            f" entry: '{entry}', args: {args}, always_run: true, pass_filenames: false,"
            " verbose: true, stages: [pre-commit]}\n"
        )

    repo.commit({".pre-commit-config.yaml": configure("[]")})
    command = [sys.executable, "-m", "pre_commit", "install"]
    subprocess.run(command, cwd=repo.path, check=True, capture_output=True)
    repo.write({"a.py": LINE})
    repo.git("add", "-A")
    code, out = commit(repo)
    assert code == 0 and f"a.py:1: {FOUND}" in out and TOKEN not in out
    repo.write({".pre-commit-config.yaml": configure("[--refuse]"), "b.py": LINE})
    repo.git("add", "-A")
    code, out = commit(repo)
    assert code == 1 and f"b.py:1: {FOUND}" in out


# --- where detect-secrets is not installed ---------------------------------------------------


def look_blindly(repo, *args):
    repo.write({"new.py": LINE})
    repo.git("add", "-A")
    done = subprocess.run(
        [sys.executable, "-c", BLIND, *args], cwd=repo.path, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def record(repo, text):
    state = GitRepository.discover(repo.path).state_dir
    trust_repository(state)
    script = state / "interpreter"
    script.write_text(text)
    script.chmod(0o755)
    (state / "python").write_text(f"{script}\n")


def test_the_check_hands_over_to_the_recorded_interpreter(repo):
    record(repo, f'#!/bin/sh\n[ -z "$PYTHONPATH" ] || exit 9\nexec "{sys.executable}" "$@"\n')
    code, lines = look_blindly(repo)
    assert (code, lines[0]) == (0, f"new.py:1: {FOUND}")
    assert look_blindly(repo, "--refuse") == (1, lines)
    repo.git("config", "copilot.secrets", "always")
    assert sum("copilot.secrets is" in line for line in look_blindly(repo)[1]) == 1


def test_an_interpreter_recorded_by_somebody_else_is_not_run(repo, tmp_path):
    record(repo, f'#!/bin/sh\ntouch "{tmp_path}/ran"\n')
    revoke_trust(GitRepository.discover(repo.path).state_dir)
    code, (line,) = look_blindly(repo)
    assert code == 0 and "detect-secrets is not installed" in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "interpreter",
    [
        None,
        "#!/bin/sh\nexit 1\n",  # an older git-copilot: no such module
        f'#!/bin/sh\nshift 4\nexec "{sys.executable}" -c "{BLIND}" "$@" --handed-over\n',
    ],
)
def test_without_a_capable_interpreter_it_warns_and_lets_the_commit_pass(repo, interpreter):
    if interpreter is not None:
        record(repo, interpreter)
    for args in ((), ("--refuse",)):
        code, (line,) = look_blindly(repo, *args)
        assert code == 0
        assert "detect-secrets is not installed" in line


def test_the_base_install_can_import_the_check():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('detect_secrets', 'faiss', 'torch', 'numpy',"
        " 'tree_sitter', 'tree_sitter_language_pack')))\n"
        "import git_copilot.hooks.check, git_copilot.hooks.run"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_the_hand_over_exit_code_differs_from_pythons_own():
    assert check.FOUND not in (0, 1, 2)
