"""The rooms' rules: imports go one way, hooks and the client stay light, the package is whole."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"index": set(), "hooks": {"index"}, "assistant": {"index", "hooks"}}
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).glob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_imports_go_one_way(path):
    room = path.parent.name
    used = {m.split(".")[1] for m in imported_modules(path) if m.startswith("git_copilot.")}
    assert used <= ROOMS[room] | {room}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_only_one_module_imports_gitpython(path):
    uses = any(m.split(".")[0] == "git" for m in imported_modules(path))
    assert not uses or path == ROOT / "index" / "git.py"


@pytest.mark.parametrize(
    "module",
    [
        "git_copilot.hooks.run",
        "git_copilot.hooks.launch",
        "git_copilot.assistant.entry",
        "git_copilot.assistant.client",
    ],
)
def test_what_a_hook_or_the_client_runs_imports_the_standard_library_only(module):
    code = (
        f"import sys; before = set(sys.modules); import {module}; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    foreign = set(done.stdout.split()) - sys.stdlib_module_names - {"git_copilot"}
    assert {name for name in foreign if not name.startswith("__editable__")} == set()


def test_every_folder_with_code_is_in_the_package():
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    mapped = configuration["tool"]["setuptools"]["package-dir"]
    assert set(mapped.values()) == set(ROOMS)
    assert set(configuration["tool"]["setuptools"]["packages"]) == set(mapped)
    nested = [p for room in ROOMS for p in (ROOT / room).glob("*/*.py")]
    assert nested == []


def test_the_base_install_is_light():
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {d.split(">")[0] for d in configuration["project"]["dependencies"]}
    assert names == {"click", "GitPython", "platformdirs"}


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_modules_and_functions_stay_small(path):
    source = path.read_text("utf-8")
    assert source.count("\n") <= 320
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 65, node.name
