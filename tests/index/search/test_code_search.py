"""Queries find what people mean: definitions first, nothing for nonsense."""

from __future__ import annotations

import pytest

from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.code_search import CodeSearch
from git_copilot.index.search.overlay import Overlay, chunk_uncommitted
from git_copilot.index.search.query_parser import file_prior, parse_query, path_rank
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from tests.support.fakes import HashingEmbedder

CLIENT = '''\
class Client:
    """Talks to a server and keeps its connections open."""

    def get(self, url):
        return self.send("GET", url)


class Server:
    def get(self, key):
        return self.store[key]
'''
TEST = "def test_{0}():\n    client = Client()\n    assert client.get('/{0}') == Client().Client\n"
FILES = {
    "src/client.py": CLIENT,
    "src/consts.py": "import os\n\nRETRIES = 3\nNO_PROXY = os.environ.get('NO_PROXY')\n",
    "src/kinds.py": "from typing import Union\n\nProxyTypes = Union[str, 'Proxy', None]\n",
    "src/uses.py": "def run(proxy: ProxyTypes):\n    return ProxyTypes, NO_PROXY, RETRIES\n",
    "src/parse_headers.py": "def parse_headers(raw):\n    return dict(raw)\n\n\nclient = None\n",
    "web/client.go": "package web\n\nfunc (c *Conn) Dial(addr string) error {\n\treturn nil\n}\n",
    "lib/conn.rs": "impl Conn {\n    pub fn dial(&self) -> u8 {\n        1\n    }\n}\n",
    "docs/guide.md": "A Client keeps connections. Client, Client, Client, NO_PROXY.\n",
    "tests/vectors.json": '[{"server": "connections open"}, {"talks": "keeps server open"}]\n' * 9,
    **{f"tests/test_{i}.py": TEST.format(i) for i in range(45)},
}


@pytest.fixture
def find(repo, tmp_path):
    """A function that searches the files above."""
    repo.commit(FILES)
    embedder = HashingEmbedder()
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        sync(GitRepository.discover(repo.path), db, embedder)
        vectors = VectorIndex.load(db, tmp_path, embedder.name, embedder.dimensions)
        lookup = CodeSearch(db, "", vectors)

        def look(text, count=10, overlay=None, embedder=embedder):
            return lookup.search_code(text, count, embedder, overlay or Overlay())

        yield look


def first(hits):
    return f"{hits[0].path}:{hits[0].start_line}" if hits else None


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("Client", "src/client.py:1"),
        ("class Client", "src/client.py:1"),
        ("Client()", "src/client.py:1"),
        ("ProxyTypes", "src/kinds.py:1"),
        ("proxytypes", "src/kinds.py:1"),
        ("NO_PROXY", "src/consts.py:1"),
        ("no_proxy", "src/consts.py:1"),
        ("client", "src/parse_headers.py:1"),
        ("def parse_headers(", "src/parse_headers.py:1"),
        ("parse_head", "src/parse_headers.py:1"),
        ("ProxyTy", "src/kinds.py:1"),
        ("consts.RETRIES", "src/consts.py:1"),
        ("Conn.Dial", "web/client.go:1"),
        ("Conn::dial", "lib/conn.rs:1"),
        ("client.py", "src/client.py:1"),
        ("src/client", "src/client.py:1"),
        ("tests/test_7", "tests/test_7.py:1"),
        ("src.kinds", "src/kinds.py:1"),
        ("./docs/guide.md", "docs/guide.md:1"),
        ("client.get(url)", "src/client.py:1"),
        ("talks to a server and keeps its connections open", "src/client.py:1"),
        ("parse the headers", "src/parse_headers.py:1"),
        ("where is ProxyTypes defined", "src/kinds.py:1"),
    ],
)
@pytest.mark.parametrize("meaning", [True, False])
def test_the_intended_definition_is_the_first_hit(find, query, place, meaning):
    hits = find(query) if meaning else find(query, embedder=None)
    assert first(hits) == place


def test_a_method_is_found_by_its_class(find):
    for owner in ("Client", "Server"):
        hit = find(f"{owner}.get", 1)[0]
        assert f"class {owner}" in hit.text and "definition" in hit.sources


def test_definitions_rank_before_uses_and_uses_before_tests(find):
    hits = find("Client", 30)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    # The class, what is called the same but for case, prose, and then what tests say.
    places = [h.path for h in hits]
    assert places[:2] == ["src/client.py", "src/parse_headers.py"]
    assert all(path.startswith("tests/") for path in places[4:])


@pytest.mark.parametrize(
    "query", ["zorblex", "quimfna drulvosk", "gnarf_krep.thwoJux", "()", "…", "", " ", "Ω≈ç√"]
)
def test_a_query_that_matches_nothing_finds_nothing(find, query):
    assert find(query) == []
    assert find(query, embedder=None) == []


def test_a_known_word_prefix_enables_semantic_hits(find, monkeypatch):
    """The test embedder gives unrelated words a cosine of about 0, so the threshold is lowered."""
    monkeypatch.setattr("git_copilot.index.search.code_search.MIN_COSINE", -1.0)
    assert {s for h in find("connectionist") for s in h.sources} == {"dense"}
    assert find("zorblexian") == []


def test_an_unsaved_file_replaces_its_committed_version(find):
    moved = b"ProxyTypes = int\n\n\nclass Gateway:\n    pass\n"
    overlay = Overlay(
        {"src/kinds.py": None, "src/gate.py": chunk_uncommitted("src/gate.py", moved)}
    )
    assert first(find("ProxyTypes", overlay=overlay)) == "src/gate.py:1"
    assert first(find("gateway", overlay=overlay)) == "src/gate.py:1"
    assert first(find("gate.py", overlay=overlay)) == "src/gate.py:1"
    assert first(find("src/kinds.py", overlay=overlay)) is None


def test_tests_are_found_when_they_are_asked_for(find):
    assert find("test client get", 1)[0].path.startswith("tests/")


def test_data_files_rank_last():
    order = ["src/a.py", "docs/a.md", "tests/test_a.py", "tests/vectors.json"]
    values = [file_prior(path) for path in order]
    assert values == sorted(values, reverse=True) and values[-1] < values[-2]
    assert file_prior("tests/test_a.py", tests=True) == file_prior("src/a.py")
    assert file_prior("Makefile") == 1.0 and file_prior("LICENSE") == file_prior("docs/a.md")


def test_path_matches_at_the_end_rank_before_those_in_the_middle():
    paths = ["core/api", "core/api.py", "core/api/x.py", "hardcore/apix.py"]
    fits = [path_rank("core/api", path) for path in paths]
    assert fits == sorted(fits) and len(set(fits)) == len(paths)
    assert path_rank("core/api", "x.py") == ()


@pytest.mark.parametrize(
    ("text", "name", "owners", "path"),
    [
        ("Client", "Client", (), ""),
        ("struct Client {", "Client", (), ""),
        ("a.b::C#d->e", "e", ("a", "b", "C", "d"), ""),
        ("App\\Http\\Kernel", "Kernel", ("App", "Http"), ""),
        ("valid?", "valid?", (), ""),
        ("two words", "", (), ""),
        ("x = f(y)", "", (), ""),
        ("a/b c", "", (), "a/b c"),
        ("setup.cfg", "cfg", ("setup",), "setup.cfg"),
        ("größe", "größe", (), ""),
    ],
)
def test_queries_are_parsed(text, name, owners, path):
    asked = parse_query(text)
    assert (asked.name, asked.owners, asked.path) == (name, owners, path)
