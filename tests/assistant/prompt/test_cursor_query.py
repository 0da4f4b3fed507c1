"""The search query that is derived from the text around the cursor."""

from __future__ import annotations

from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.cursor_query import cursor_query, edited_file

PREFIX = """import os
from tools import mail

def notify(user):
    address = user.address
    mail.sen"""


def query_at(prefix, suffix, path="src/app.py"):
    return cursor_query(edited_file(path, prefix, suffix, Budget(1024, 512, 192)), "python")


def test_names_nearest_the_cursor_come_before_imports():
    query = query_at(PREFIX, "\n    return address\n")
    assert query.names[:3] == ("sen", "mail", "address")
    assert set(query.modules) == {"mail", "tools", "os", "import", "from"}
    assert (query.partial, query.language) == ("sen", "python")
    assert query.text.endswith("mail.sen")


def test_word_weight_falls_with_distance_and_is_lower_after_the_cursor():
    words = query_at(PREFIX, "\n    return letter\n").words
    assert words["mail"] == words["sen"] == 1
    assert 0 < words["letter"] < words["address"] < 1


def test_lines_of_the_current_file_are_marked_as_seen():
    seen = query_at(PREFIX, "\n    return address\n").seen
    assert {"def notify(user):", "return address"} <= seen


def test_only_what_a_prompt_shows_anyway_is_seen():
    prefix = "FIRST = 1\n" + "x = 1\n" * 400 + "value = "
    seen = query_at(prefix, "\n" + "y = 2\n" * 200 + "LAST = 3\n").seen
    assert {"x = 1", "y = 2", "value ="} == {line for line in seen if line}


def test_no_partial_word_after_a_space_or_a_bracket():
    for prefix in ("x = ", "call(", "a.", "", "1234"):
        assert query_at(prefix, "", "a.py").partial == ""
