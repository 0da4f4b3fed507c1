"""What a name at the cursor would be a member of."""

from __future__ import annotations

import pytest

from git_copilot.assistant.prompt.accessed_names import Access, absolute_module, accessed

IMPORTS = (
    "import json\nimport os.path\nimport numpy as np\nfrom . import tools\nfrom .io import reader\n"
    "from ..core import (\n    engine,\n    wheel,\n)\n\n"
)


@pytest.mark.parametrize(
    ("line", "modules", "begun"),
    [
        ("from shop.cart import ", ("shop.cart",), ""),
        ("from shop.cart import Ca", ("shop.cart",), "Ca"),
        ("from shop.cart import Cart, ", ("shop.cart",), ""),
        ("from shop.cart import (", ("shop.cart",), ""),
        ("from .cart import ", ("pkg.sub.cart",), ""),
        ("from . import ", ("pkg.sub",), ""),
        ("from ..cart import ", ("pkg.cart",), ""),
        ("x = json.", ("json",), ""),
        ("x = json.lo", ("json",), "lo"),
        ("x = os.path.", ("os.path",), ""),
        ("x = np.lin", ("numpy",), "lin"),
        ("x = np.linalg.", ("numpy.linalg",), ""),
        ("x = tools.", ("pkg.sub.tools",), ""),
        ("x = reader.", ("pkg.sub.io.reader",), ""),
        ("x = engine.", ("pkg.core.engine",), ""),
    ],
)
def test_modules(line, modules, begun):
    found = accessed(IMPORTS + line, "\n", "src/pkg/sub/mod.py")
    assert found == Access(begun, modules)


@pytest.mark.parametrize(
    "line", ["x = y.", "x = f().", "x = 1.", "x = json", "", "import js", "x = 'json.", "  # a."]
)
def test_nothing_is_known_of_other_places(line):
    found = accessed(IMPORTS + line, "\n", "src/pkg/mod.py")
    assert found is None or not found.members


CLASS = """\
class Base:
    pass


class Cart(Base, shop.Basket, metaclass=Meta):
    limit = 3

    def __init__(self, owner):
        self.owner: str = owner
        self.items = []

    async def add(self, item):
        """


def test_the_class_around_the_cursor():
    below = "\n\n    def total(self):\n        self.sum = 1\n\n\nclass Other:\n    def no(self):\n        pass\n"
    found = accessed(CLASS + "self.i", below, "a.py")
    assert found.begun == "i"
    assert set(found.members) == {"__init__", "owner", "items", "add", "total", "sum"}
    assert found.classes == ("Base", "Basket")
    assert accessed("self.", "\n", "a.py") is None


@pytest.mark.parametrize(
    ("name", "path", "module"),
    [
        ("a.b", "x.py", "a.b"),
        (".b", "p/x.py", "p.b"),
        (".", "p/q/x.py", "p.q"),
        ("..b", "p/q/x.py", "p.b"),
        (".b", "x.py", "b"),
    ],
)
def test_absolute_names(name, path, module):
    assert absolute_module(name, path) == module
