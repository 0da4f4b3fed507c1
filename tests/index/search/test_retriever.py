"""Search finds by word, by meaning and by name, and ranks deterministically."""

from __future__ import annotations

import pytest

from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.fusion import ChunkRef, NoveltyFilter, fuse
from git_copilot.index.search.overlay import Overlay, chunk_uncommitted
from git_copilot.index.search.priors import module_name
from git_copilot.index.search.retriever import MAX_DEFINITIONS, Query, Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.terms import split_identifier, terms, words_near
from tests.support.fakes import HashingEmbedder

FILES = {
    "src/users.py": "def load_user_profile(user_id):\n    return database.fetch(user_id)\n",
    "src/mail.py": "def send_mail(address, body):\n    smtp.deliver(address, body)\n",
    "web/users.js": "function loadUserProfile(id) { return fetch(id) }\n",
    "docs/guide.md": "How to load a user profile from the database.\n",
}


@pytest.fixture
def indexed(repo, tmp_path):
    """A function that commits files and returns a searcher of the tree, and its embedder."""
    embedder = HashingEmbedder()
    db = Database(tmp_path / DATABASE_NAME, create=True)

    def make(files):
        repo.commit(files)
        sync(GitRepository.discover(repo.path), db, embedder)
        vectors = VectorIndex.load(db, tmp_path, embedder.name, embedder.dimensions)
        return Searcher(db, "", vectors), embedder

    yield make
    db.close()


@pytest.fixture
def searcher(indexed):
    return indexed(FILES)


def paths(hits):
    return [h.path for h in hits]


def found(find, source, query, embedder=None, overlay=None):
    """The paths that one source finds."""
    return [spot.path for spot in find.find(query, embedder, overlay or Overlay())[source]]


def test_split_words_find_compound_identifiers(searcher):
    find, _ = searcher
    assert set(found(find, "lexical", Query("user profile"))) == {
        "src/users.py", "web/users.js", "docs/guide.md",
    }  # fmt: skip


def test_hits_can_be_limited_to_a_language_and_exclude_a_path(searcher):
    find, embedder = searcher
    words = "load user profile deliver"
    everything = set(paths(find.search(Query(words), 5, embedder)))
    assert everything == {"src/users.py", "src/mail.py", "web/users.js", "docs/guide.md"}
    query = Query(words, names=("load_user_profile",), language="python")
    assert paths(find.search(query, 5, embedder)) == ["src/users.py", "src/mail.py"]
    without = Query(words, language="python", exclude="src/users.py")
    assert paths(find.search(without, 5, embedder)) == ["src/mail.py"]


def test_zero_results_requested_gives_none(searcher):
    """As with `copilot.snippets 0`; also for callers that fuse results themselves."""
    find, embedder = searcher
    query = Query("load user profile")
    assert find.search(query, 1, embedder) and find.search(query, 0, embedder) == []
    assert find.best(find.find(query, embedder), query, 0) == []


def test_a_language_also_finds_related_languages(indexed):
    find, _ = indexed({"a.h": "int fetch_row(int);\n", "b.cpp": "int n = fetch_row(1);\n"})
    query = Query("fetch_row", language="cpp")
    assert set(found(find, "lexical", query)) == {"a.h", "b.cpp"}
    assert found(find, "lexical", Query("fetch_row", language="python")) == []


def test_a_defined_name_is_found_by_definition(searcher):
    find, embedder = searcher
    (best, *_) = find.search(Query("x", names=("send_mail",)), 3, embedder)
    assert best.path == "src/mail.py"
    assert "definition" in best.sources


def test_every_hit_names_its_sources(searcher):
    find, embedder = searcher
    (best, *_) = find.search(Query("send_mail address", names=("send_mail",)), 3, embedder)
    assert best.sources == ("definition", "lexical", "dense")


def test_punctuation_alone_finds_nothing_by_words(searcher):
    find, _ = searcher
    assert found(find, "lexical", Query("(){};;")) == []
    assert find.search(Query(""), 3, None) == []


@pytest.mark.parametrize("text", ['"', "a AND b OR NOT (", "x*", "col:y", "NEAR(a b)", "é ü 漢字"])
def test_query_syntax_is_never_interpreted(searcher, text):
    find, embedder = searcher
    find.search(Query(text, names=(text,)), 3, embedder)


def test_split_identifier():
    assert split_identifier("HTTPServer_name2") == ["http", "server", "name", "2"]
    assert terms("return loadUserProfile") == ["loaduserprofile", "load", "user", "profile"]


def test_words_weigh_more_the_nearer_they_are_to_the_cursor():
    weights = words_near(["far = 1", *[""] * 9, "near = here"], ["behind"])
    assert weights["near"] == weights["here"] == 1
    assert weights["far"] < weights["behind"] < 1


def test_words_on_the_cursor_line_outweigh_those_above(indexed):
    find, _ = indexed({"one.py": "def f():\n    alpha()\n", "two.py": "def g():\n    gamma()\n"})
    for above, at, best in (("alpha", "gamma", "two.py"), ("gamma", "alpha", "one.py")):
        query = Query("", words=words_near([f"{above}()", *[""] * 9, f"{at}()"], []))
        assert found(find, "lexical", query)[0] == best


def test_rare_words_of_the_view_rank_first(indexed):
    """IDF is computed per view: other trees have no influence."""
    common = {f"m{i}.py": f"def common():\n    return {i}\n" for i in range(5)}
    find, _ = indexed({**common, "rare.py": "def rare():\n    return 1\n"})
    assert found(find, "lexical", Query("rare common"))[0] == "rare.py"


def spot(path, ordinal=0, chunk_id=1):
    return ChunkRef(path, ordinal, chunk_id)


def test_fusion_prefers_hits_of_two_sources():
    a, b, c = spot("a"), spot("b"), spot("c")
    ranked = fuse({"lexical": [a, b], "other": [b, c]})
    assert ranked[0].ref == b
    assert ranked[0].sources == ("lexical", "other")


def test_ties_are_broken_by_path_and_line_not_by_id():
    first, second = spot("a", chunk_id=9), spot("b", chunk_id=1)
    assert [f.ref for f in fuse({"x": [first], "y": [second]})] == [first, second]
    assert [f.ref for f in fuse({"x": [second], "y": [first]})] == [first, second]
    upper, lower = spot("a", 1, 9), spot("a", 2, 1)
    assert [f.ref for f in fuse({"x": [lower], "y": [upper]})] == [upper, lower]


def test_a_package_is_imported_by_its_folder_name():
    names = [module_name(p) for p in ("a/url.py", "a/url/__init__.py", "url/index.d.ts", "x/b")]
    assert names == ["url", "url", "url", "b"]


def test_near_duplicates_are_dropped():
    words = "def load(user): return database.fetch(user, cache)"
    novelty_filter = NoveltyFilter()
    assert [novelty_filter.admit(text) for text in (words, f"{words}\n", "other")] == [
        True,
        False,
        True,
    ]


def test_text_already_in_view_is_not_shown_again():
    lines = ["import os", "def notify(user):", "address = user.address"]
    novelty_filter = NoveltyFilter(frozenset(lines))
    assert not novelty_filter.admit("def notify(user):\n    address = user.address\n")
    assert novelty_filter.admit("def send(address):\n    deliver(address)\n")
    assert not novelty_filter.admit("\n\n")


def test_copies_of_visible_text_do_not_use_up_the_limit(indexed):
    """A copy of visible text does not displace another hit."""
    text = "def load(user):\n    return fetch(user)\n"
    find, _ = indexed({"copy.py": text, "news.py": "def store(user):\n    fetch(user).save()\n"})
    query = Query("load fetch user", seen=frozenset(x.strip() for x in text.split("\n")))
    assert paths(find.search(query, 1, None)) == ["news.py"]


def test_a_partial_word_finds_names_it_may_become(searcher):
    find, embedder = searcher
    (best, *_) = find.search(Query("value", partial="send_"), 3, embedder)
    assert (best.path, best.sources[0]) == ("src/mail.py", "definition")
    assert found(find, "typed", Query("", partial="se")) == []


def test_an_imported_module_comes_first(indexed):
    text = "def deliver(letter):\n    return letter\n"
    find, _ = indexed({"post.py": text, "mail.py": f"\n{text}"})
    for module in ("post", "mail"):
        query = Query("deliver letter", modules=("os", module))
        assert found(find, "lexical", query)[0] == f"{module}.py"


def test_a_file_often_changed_together_comes_first(indexed):
    text = "def deliver(letter):\n    return letter\n"
    find, _ = indexed({"a/x.py": text, "b/x.py": f"\n{text}"})
    for path in ("a/x.py", "b/x.py"):
        query = Query("deliver letter", partners={path: 1.0, "gone.py": 0.5})
        assert found(find, "lexical", query)[0] == path


def test_a_blob_under_two_paths_is_one_hit(indexed):
    text = "def deliver(letter):\n    return letter\n"
    find, embedder = indexed({"b.py": text, "a.py": text, "c.py": "other = 1\n"})
    hits = find.search(Query("deliver letter", names=("deliver",)), 5, embedder)
    assert [p for p in paths(hits) if p != "c.py"] == ["a.py"]
    hidden = Query("deliver letter", names=("deliver",), exclude="a.py")
    assert [p for p in paths(find.search(hidden, 5, embedder)) if p != "c.py"] == ["b.py"]


def test_a_name_defined_in_many_places_is_no_evidence(indexed):
    """A chunk that defines it several times counts as one place."""
    often = "class Beaver:\n" + "    def gnaw(self):\n        pass\n\n" * (MAX_DEFINITIONS + 2)
    find, _ = indexed({"often.py": often})
    rows = find._db.query("SELECT chunk_id FROM symbols WHERE name = 'gnaw'")
    assert len(rows) > MAX_DEFINITIONS and len(set(rows)) == 1
    assert found(find, "definition", Query("x", names=("gnaw",))) == ["often.py"]
    others = {f"m{i}.py": f"def gnaw(n):\n    return {i}\n" for i in range(MAX_DEFINITIONS)}
    find, _ = indexed(others)
    assert found(find, "definition", Query("x", names=("gnaw",))) == []


def test_an_unsaved_file_hides_its_committed_version(searcher):
    find, embedder = searcher
    text = b"def send_letter(address):\n    pigeon.deliver(address)\n"
    overlay = Overlay({"src/mail.py": chunk_uncommitted("src/mail.py", text), "web/users.js": None})
    hits = find.search(
        Query("deliver address pigeon", names=("send_letter", "send_mail")), 9, embedder, overlay
    )
    assert hits[0].path == "src/mail.py" and hits[0].text.encode() == text
    assert hits[0].sources == ("definition", "lexical")
    assert not any("send_mail" in h.text or h.path == "web/users.js" for h in hits)
    typed = found(find, "typed", Query("", partial="send_"), overlay=overlay)
    assert typed == ["src/mail.py"]
    # Laid over it, not written into it.
    assert "send_mail" in find.search(Query("send_mail"), 1, None)[0].text


def test_the_same_text_ranks_alike_committed_or_not(indexed):
    new = {f"n{i}.py": f"def fetch_{i}(row):\n    return row.fetch({i})\n" for i in range(4)}
    query = Query("fetch row", names=("fetch_2",), partners={"n1.py": 1.0})
    find, _ = indexed({"a.py": "def fetch(row):\n    return row\n", **new})
    before = find.search(query, 5, None)
    overlay = Overlay({path: chunk_uncommitted(path, text.encode()) for path, text in new.items()})
    after = find.search(query, 5, None, overlay)
    assert [(h.path, h.blob, h.text) for h in after] == [(h.path, h.blob, h.text) for h in before]
