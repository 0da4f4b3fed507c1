"""Whether a page of a refresh can neither run nor load anything. Pure.

A page of git-copilot escapes the code that it quotes, so each ``<`` in it begins one of few simple
tags. Where that holds, no two readers of HTML can disagree about what is a tag.
"""

from __future__ import annotations

import re

_TAGS = (
    "article|code|dd|desc|div|dl|dt|figcaption|figure|h[1-6]|html|line|main|mark|meta|p|pre|rect|span"
    "|strong|style|svg|table|tbody|td|text|th|thead|title|tr"
)
_ATTRIBUTES = "charset|class|content|height|lang|name|role|scope|viewBox|width|[xy][12]?"
_VALUE = r"(?:\"[^\"<>&]*\"|[\w.%-]+)"
_TAG = re.compile(
    rf"<(?:!doctype html|/(?:{_TAGS})|(?:{_TAGS})(?:\s+(?:{_ATTRIBUTES})={_VALUE})*\s*/?)>"
)
_STYLE = re.compile(r"<style>([^<]*)</style>")
# How a style sheet loads a file, also when it is spelt with escapes.
_LOADS = re.compile(r"\\|url|src|@import|image|expression|binding", re.IGNORECASE)


def is_inert(page: bytes) -> bool:
    """Whether ``page`` consists of text and the tags of a page of git-copilot."""
    try:
        text = page.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if text.count("<style") != len(_STYLE.findall(text)):
        return False
    if any(_LOADS.search(sheet) for sheet in _STYLE.findall(text)):
        return False
    at = text.find("<")
    while at >= 0:
        if _TAG.match(text, at) is None:
            return False
        at = text.find("<", at + 1)
    return True
