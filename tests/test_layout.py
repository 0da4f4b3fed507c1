"""Layout rules: imports go down, hooks and the client stay light, the wheel is complete."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("index", "hooks", "assistant")
# Lowest first. A module may import its own room and rooms on lower floors, never its own floor.
FLOORS = (
    "index.core",
    "index.git index.text",
    "index.filters index.secrets index.store",
    "index.embedding index.sync",
    "index.corpus index.search",
    "index.audit",
    "hooks",
    "assistant.api assistant.backend assistant.postprocess assistant.prompt",
    "assistant.core assistant.training",
    "assistant.adapters assistant.client assistant.decoding",
    "assistant.models assistant.sharing assistant.export",
    "assistant.context",
    "assistant.dataset assistant.remote",
    "assistant.completion assistant.evaluation",
    "assistant.refresh",
    "assistant.worker",
    "assistant.diagnostics",
    "assistant.service",
    "assistant.http assistant.lsp assistant.server",
    "assistant.cli",
    "assistant.cli.commands",
    "assistant",
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms.split()}
MAX_LINES, MAX_FUNCTION = 300, 60
MODULES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def module_name(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


NAMES = {module_name(path) for path in MODULES}


def room_of(name):
    """The room of a module, or of a room its own name."""
    return name if name in FLOOR and name != "assistant.entry" else name.rpartition(".")[0]


@cache
def imported_modules(path):
    """Everything that a module imports, also lazily and for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own_imports(path):
    """The modules of this project that a module imports."""
    for name in imported_modules(path):
        if name.startswith("git_copilot."):
            name = name.removeprefix("git_copilot.")
            yield name if name in NAMES else name.rpartition(".")[0]


def upward(room, imports):
    """Those of ``imports`` that a module of ``room`` must not have."""
    return {
        name
        for name in imports
        if room_of(name) != room and FLOOR.get(room_of(name), len(FLOORS)) >= FLOOR[room]
    }


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_to_lower_floors_only(path):
    assert upward(room_of(module_name(path)), own_imports(path)) == set()


def test_an_import_that_goes_up_or_sideways_is_detected():
    up = {"assistant.server.server", "assistant.completion.session", "assistant.adapters.store"}
    assert upward("assistant.completion", up) == {"assistant.server.server"}
    assert upward("index.search", {"index.corpus.holes"}) == {"index.corpus.holes"}
    assert upward("index.search", {"index.unknown.room"}) == {"index.unknown.room"}


def test_no_import_cycles():
    graph = {module_name(path): set(own_imports(path)) for path in MODULES}
    done = set()
    while len(done) < len(graph):
        free = {name for name in graph if name not in done and graph[name] <= done}
        assert free, sorted(set(graph) - done)
        done |= free


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_only_one_module_imports_gitpython(path):
    uses = any(m.split(".")[0] == "git" for m in imported_modules(path))
    assert not uses or path == ROOT / "index" / "git" / "version.py"


@pytest.mark.parametrize(
    "module",
    [
        "git_copilot.hooks.run",
        "git_copilot.hooks.launch",
        "git_copilot.assistant.entry",
        "git_copilot.assistant.client.main",
    ],
)
def test_hooks_and_the_client_import_the_standard_library_only(module):
    code = (
        f"import sys; before = set(sys.modules); import {module}; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    foreign = set(done.stdout.split()) - sys.stdlib_module_names - {"git_copilot"}
    assert {name for name in foreign if not name.startswith("__editable__")} == set()


def folders_with_code(root):
    """The folders of the package under ``root``, as import names."""
    found = {path.parent for top in TOPS for path in (root / top).rglob("*.py")}
    return {f"git_copilot.{'.'.join(folder.relative_to(root).parts)}" for folder in found}


def test_every_folder_with_code_is_in_the_wheel():
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    setuptools = configuration["tool"]["setuptools"]
    assert set(setuptools["package-dir"].values()) == set(TOPS)
    assert sorted(setuptools["packages"]) == sorted(folders_with_code(ROOT))


def test_a_folder_missing_from_the_wheel_is_detected(tmp_path):
    for name in ("index/core", "index/new_room", "assistant", "hooks"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "module.py").touch()
    assert "git_copilot.index.new_room" in folders_with_code(tmp_path)


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_every_room_has_a_docstring_and_imports_nothing(room):
    source = (ROOT / room.replace(".", "/") / "__init__.py").read_text("utf-8")
    purpose = ast.get_docstring(ast.parse(source))
    assert purpose and purpose.endswith(".")
    assert ast.parse(source).body[1:] == []  # nothing is imported by importing a room


def test_every_folder_has_a_floor():
    assert {name.removeprefix("git_copilot.") for name in folders_with_code(ROOT)} - {
        "index"
    } == set(FLOOR)


def test_the_base_install_has_three_dependencies():
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {d.split(">")[0] for d in configuration["project"]["dependencies"]}
    assert names == {"click", "GitPython", "platformdirs"}


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=module_name)
def test_modules_and_functions_stay_small(path):
    source = path.read_text("utf-8")
    assert source.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < MAX_FUNCTION, node.name


def test_no_two_public_classes_share_a_name():
    counts = Counter(
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in counts.items() if count > 1} == set()
