"""A server process that clients of other projects ask."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest

from tests.support.commands import REAL_CACHE, REAL_HOME
from tests.support.gitrepo import GitRepo
from tests.support.scripted_server import ServedRepository
from tests.support.tiny_models import save_tiny

SHAPES = '''"""Shapes and what can be measured of them."""


class Rectangle:
    """A rectangle with sides along the axes."""

    def __init__(self, width, height):
        self.width = width
        self.height = height

    def perimeter(self):
        return 2 * (self.width + self.height)

    def area(self):
        return self.width * self.height

    def scaled(self, factor):
        return Rectangle(self.width * factor, self.height * factor)
'''
# Where the clients ask: behind the `return` of `area`.
BEFORE, _, AFTER = SHAPES.partition("self.width * self.height")
WRITTEN = "self.width * self.height"
HELPERS = '''"""Helpers."""


def rounded(value, digits=2):
    return round(value, digits)
'''


_numbers = itertools.count(1)


@pytest.fixture
def place():
    """The texts before and after the cursor, and what belongs there. Each test has its own first
    line, since a server remembers its answers."""
    return BEFORE.replace("of them", f"of them, part {next(_numbers)}", 1), AFTER, WRITTEN


def _served(base: Path, runtime: str, settings: str, *, scripted: bool, **environment: str):
    """A repository that is set up and served, with a configuration of its own."""
    repo = GitRepo.init(base / "shapes project")
    repo.commit({"src/shapes.py": SHAPES, "src/helpers.py": HELPERS})
    folder = base / "served"
    folder.mkdir()
    served = ServedRepository(repo.path, folder, Path(runtime), scripted=scripted)
    config = folder / "gitconfig"
    config.write_text(f"[copilot]\n{settings}\trefreshCommits = 0\n\tlatencyMs = 0\n")
    served.environment |= {"GIT_CONFIG_GLOBAL": str(config), **environment}
    served.commands().ok("init", **served.environment)
    served.start()
    return served


@pytest.fixture(scope="session")
def scripted(tmp_path_factory, tiny_folders):
    """A served repository whose model writes what a test says."""
    base = tmp_path_factory.mktemp("scripted")
    model = save_tiny(base / "model", fim=True)
    settings = f"\tmodel = {model}\n\tembedder = {tiny_folders / 'embedder'}\n"
    with tempfile.TemporaryDirectory("", "copilot-", "/tmp") as runtime:
        cache = str(base / "cache")
        served = _served(base, runtime, settings, scripted=True, GIT_COPILOT_CACHE=cache)
        yield served
        served.stop()


@pytest.fixture
def served(scripted):
    """The same, with a model that writes what belongs at the place."""
    scripted.write(WRITTEN)
    return scripted


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    """A repository that is served with the default model."""
    base = tmp_path_factory.mktemp("embedded")
    with tempfile.TemporaryDirectory("", "copilot-", "/tmp") as runtime:
        served = _served(
            base,
            runtime,
            "\tconfidence = 0\n",
            scripted=False,
            GIT_COPILOT_CACHE=REAL_CACHE,
            HOME=REAL_HOME,
        )
        yield served
        served.stop()
