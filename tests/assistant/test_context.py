"""What is looked for at a cursor, and what is left out because it is in view."""

from __future__ import annotations

from git_copilot.assistant.context import cursor_query, drop_seen
from git_copilot.index.types import Hit

PREFIX = """import os
from tools import mail

def notify(user):
    address = user.address
    mail.sen"""


def test_names_near_the_cursor_first_then_imports():
    query = cursor_query("src/app.py", "python", PREFIX, "\n    return address\n")
    assert query.names[:3] == ("sen", "mail", "address")
    assert query.modules[0] == "mail" and set(query.modules) >= {"mail", "tools", "os"}
    assert (query.partial, query.exclude, query.language) == ("sen", "src/app.py", "python")
    assert query.text.endswith("mail.sen")


def test_nothing_is_being_typed_after_a_space_or_a_bracket():
    for prefix in ("x = ", "call(", "a.", "", "1234"):
        assert cursor_query("a.py", "python", prefix, "").partial == ""


def test_text_in_view_is_no_news():
    def hit(text):
        return Hit(1, "b.py", "0" * 40, 1, 2, text, 1.0, ())

    moved = hit("def notify(user):\n    address = user.address\n")
    news = hit("def send(address):\n    deliver(address)\n")
    assert drop_seen([moved, news, hit("\n\n")], PREFIX, "") == [news]
