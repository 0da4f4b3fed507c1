"""The search query that is derived from the text around the cursor."""

from __future__ import annotations

from git_copilot.assistant.prompt.cursor_query import cursor_query

PREFIX = """import os
from tools import mail

def notify(user):
    address = user.address
    mail.sen"""


def test_names_nearest_the_cursor_come_before_imports():
    query = cursor_query("src/app.py", "python", PREFIX, "\n    return address\n")
    assert query.names[:3] == ("sen", "mail", "address")
    assert set(query.modules) == {"mail", "tools", "os", "import", "from"}
    assert (query.partial, query.exclude, query.language) == ("sen", "src/app.py", "python")
    assert query.text.endswith("mail.sen")


def test_word_weight_falls_with_distance_and_is_lower_after_the_cursor():
    words = cursor_query("src/app.py", "python", PREFIX, "\n    return letter\n").words
    assert words["mail"] == words["sen"] == 1
    assert 0 < words["letter"] < words["address"] < 1


def test_lines_of_the_current_file_are_marked_as_seen():
    seen = cursor_query("src/app.py", "python", PREFIX, "\n    return address\n").seen
    assert {"def notify(user):", "return address"} <= seen


def test_no_partial_word_after_a_space_or_a_bracket():
    for prefix in ("x = ", "call(", "a.", "", "1234"):
        assert cursor_query("a.py", "python", prefix, "").partial == ""
