"""Search finds by word, by meaning and by name, and ranks deterministically."""

from __future__ import annotations

import pytest
from fakes import HashingEmbedder

from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.fuse import distinct, fuse, path_closeness
from git_copilot.index.git import GitRepository
from git_copilot.index.search import Query, Searcher
from git_copilot.index.sync import sync
from git_copilot.index.terms import fts_query, query_terms, split_identifier, terms
from git_copilot.index.types import Hit
from git_copilot.index.vectors import VectorIndex


@pytest.fixture
def searcher(repo, tmp_path):
    repo.commit(
        {
            "src/users.py": "def load_user_profile(user_id):\n    return database.fetch(user_id)\n",
            "src/mail.py": "def send_mail(address, body):\n    smtp.deliver(address, body)\n",
            "web/users.js": "function loadUserProfile(id) { return fetch(id) }\n",
            "docs/guide.md": "How to load a user profile from the database.\n",
        }
    )
    embedder = HashingEmbedder()
    db = Database(tmp_path / DATABASE_NAME, create=True)
    sync(GitRepository.discover(repo.path), db, embedder)
    vectors = VectorIndex.load(db, tmp_path, embedder.name, embedder.dimensions)
    yield Searcher(db, "", vectors), embedder
    db.close()


def paths(hits):
    return [h.path for h in hits]


def test_split_words_find_compound_identifiers(searcher):
    find, _ = searcher
    assert set(paths(find.lexical(Query("user profile")))) == {
        "src/users.py", "web/users.js", "docs/guide.md",
    }  # fmt: skip


def test_language_and_exclusion(searcher):
    find, embedder = searcher
    query = Query("load user profile", names=("load_user_profile",), language="python")
    assert paths(find.search(query, 5, embedder))[0] == "src/users.py"
    gone = Query("load user profile", language="python", exclude="src/users.py")
    assert "src/users.py" not in paths(find.search(gone, 5, embedder))


def test_a_defined_name_is_found_by_definition(searcher):
    find, embedder = searcher
    (best, *_) = find.search(Query("x", names=("send_mail",)), 3, embedder)
    assert best.path == "src/mail.py"
    assert "definition" in best.sources


def test_every_source_is_named(searcher):
    find, embedder = searcher
    (best, *_) = find.search(Query("send_mail address", names=("send_mail",)), 3, embedder)
    assert best.sources == ("definition", "lexical", "dense")


def test_nothing_but_punctuation_finds_nothing_by_words(searcher):
    find, _ = searcher
    assert find.lexical(Query("(){};;")) == []
    assert find.search(Query(""), 3, None) == []


@pytest.mark.parametrize("text", ['"', "a AND b OR NOT (", "x*", "col:y", "NEAR(a b)", "é ü 漢字"])
def test_query_syntax_is_never_interpreted(searcher, text):
    find, embedder = searcher
    find.search(Query(text, names=(text,)), 3, embedder)


def test_split_identifier():
    assert split_identifier("HTTPServer_name2") == ["http", "server", "name", "2"]
    assert terms("return loadUserProfile") == ["loaduserprofile", "load", "user", "profile"]
    assert fts_query(query_terms("foo foo bar")) == '"foo" OR "bar"'


def hit(chunk_id, path, line=1, text="x"):
    return Hit(chunk_id, path, "0" * 40, line, line + 1, text, 0.0, ())


def test_fusion_prefers_what_two_sources_agree_on():
    a, b, c = hit(1, "a"), hit(2, "b"), hit(3, "c")
    ranked = fuse({"lexical": [a, b], "dense": [b, c]})
    assert paths(ranked)[0] == "b"
    assert ranked[0].sources == ("lexical", "dense")


def test_ties_are_broken_by_path_and_line_not_by_id():
    first = fuse({"lexical": [hit(9, "a", 5)], "definition": []})
    assert paths(fuse({"x": [hit(9, "a")], "y": [hit(1, "b")]})) == ["a", "b"]
    assert paths(fuse({"x": [hit(1, "a")], "y": [hit(9, "b")]})) == ["a", "b"]
    assert first[0].start_line == 5


def test_closeness_falls_with_distance():
    assert path_closeness("a/b/x.py", "a/b/y.py") == 1
    assert path_closeness("a/b/x.py", "a/c/y.py") > path_closeness("a/b/x.py", "d/e/f/y.py")


def test_near_duplicates_are_dropped():
    words = "def load(user): return database.fetch(user, cache)"
    kept = distinct(
        [hit(1, "a", text=words), hit(2, "b", text=words), hit(3, "c", text="other")], 5
    )
    assert paths(kept) == ["a", "c"]


def test_what_is_being_typed_finds_what_it_may_become(searcher):
    find, embedder = searcher
    (best, *_) = find.search(Query("value", partial="send_"), 3, embedder)
    assert (best.path, best.sources[0]) == ("src/mail.py", "definition")
    assert find.typed(Query("", partial="se")) == []


def test_an_imported_module_is_found_by_its_name(searcher):
    find, _ = searcher
    assert paths(find.definitions(Query("", modules=("os", "mail")))) == ["src/mail.py"]
