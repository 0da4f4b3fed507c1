"""Calls the detectors of detect-secrets. The only module that imports it.

They are called directly, not through its scanner. So its process-wide settings are not touched,
several threads may scan, and nothing is verified over the network, which only the scanner does.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.secrets import false_positives
from git_copilot.index.text.classify import TEXT

PRIVATE_KEY = "Private Key"
# The comment that makes gitleaks ignore a line.
GITLEAKS = "gitleaks:allow"
# IP addresses are not secrets.
LEFT_OUT = frozenset({"IPPublicDetector"})
# Bits per character; detect-secrets' own.
ENTROPIES = {"Base64HighEntropyString": 4.5, "HexHighEntropyString": 3.0}
# Patterns that detect-secrets 1.5 lacks.
OWN = {
    "KeyFiles": (PRIVATE_KEY, r"BEGIN ENCRYPTED PRIVATE KEY|PuTTY-User-Key-File-3"),
    "NewerTokens": (
        "Access Token",
        r"github_pat_\w{22,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,}"
        r"|sk-(?:ant|proj|svcacct)-[\w-]{20,}",
    ),
}
# A file name for each style of assignment, by which the keyword detector selects its patterns.
QUOTED = ("x.py",)
CONFIGURATION = ("x.cfg", "x.py")
_STYLES: Mapping[str, tuple[str, ...]] = {
    "c": ("x.c", "x.py"), "cpp": ("x.cpp", "x.py"), "csharp": ("x.cs", "x.py"), "go": ("x.go",),
    TEXT: CONFIGURATION, "bash": CONFIGURATION, "dockerfile": CONFIGURATION,
    "make": CONFIGURATION,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Detector:
    """``find(line, file_name)`` returns the secrets in a line, in that file's assignment style."""

    plugin: Any
    kind: str
    find: Callable[[str, str], list[str]]


_LOADING = threading.Lock()


@cache
def detectors() -> dict[str, Detector]:
    """Every detector by its class's name.

    :raises CopilotError: detect-secrets is not installed.
    """
    with _LOADING:
        before = warnings.showwarning
        try:
            from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
        except ImportError as exc:
            raise CopilotError(
                "detect-secrets is not installed", "`pip install 'git-copilot[local]'` has it"
            ) from exc
        finally:
            if warnings.showwarning is not before:  # importing it redirects warnings to the log
                logging.captureWarnings(False)
        known: dict[str, Any] = get_mapping_from_secret_type_to_class()
        found = {}
        for kind, made_by in known.items():
            name = made_by.__name__
            if name not in LEFT_OUT:
                plugin = made_by(ENTROPIES[name]) if name in ENTROPIES else made_by()
                found[name] = Detector(plugin, kind, _analyzer(name, plugin))
        for name, (kind, pattern) in OWN.items():
            found[name] = Detector(None, kind, partial(_find_pattern, re.compile(pattern)))
        return found


def _analyzer(name: str, plugin: Any) -> Callable[[str, str], list[str]]:
    """A function that runs a plugin on a line without reading process-wide settings."""
    if name in ENTROPIES:
        return lambda line, _: [
            secret
            for secret in plugin.analyze_string(line)
            if plugin.calculate_shannon_entropy(secret) > plugin.entropy_limit
        ]
    if name == "KeywordDetector":
        return partial(_find_named, plugin)
    return lambda line, _: list(plugin.analyze_string(line))


def _find_pattern(pattern: re.Pattern[str], line: str, style: str) -> list[str]:
    return pattern.findall(line)


def _find_named(plugin: Any, line: str, style: str) -> list[str]:
    from detect_secrets.plugins import keyword
    from detect_secrets.util.filetype import determine_file_type

    patterns = keyword.REGEX_BY_FILETYPE.get(
        determine_file_type(style), keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
    )
    return list(plugin.analyze_string(line, denylist_regex_to_group=patterns))


def assignment_styles(language: str | None) -> tuple[str, ...]:
    """The assignment styles of a language, as file names; quoted values only if it is unknown."""
    return QUOTED if language is None else _STYLES.get(language, QUOTED)


@cache
def _library_filters() -> tuple[Callable[[str], bool], ...]:
    from detect_secrets.filters import heuristic

    return (
        heuristic.is_sequential_string,
        heuristic.is_potential_uuid,
        heuristic.is_templated_secret,
        heuristic.is_prefixed_with_dollar_sign,
        heuristic.is_not_alphanumeric_string,
    )


def passes_filters(secret: str, line: str, plugin: Any) -> bool:
    """Whether no filter rejects the ``secret`` that ``plugin`` found on ``line``."""
    return not (
        any(known(secret) for known in _library_filters())
        or false_positives.is_mask(secret)
        or false_positives.is_words(secret, plugin)
        or false_positives.is_placeholder(secret, plugin)
        or false_positives.is_digest(secret, line, plugin)
        or false_positives.is_named_id(secret, line, plugin)
        or false_positives.is_no_password(secret, line, plugin)
    )


def is_allowlisted(line: str, previous: str) -> bool:
    """Whether a comment on the line, or on the one before, allows it."""
    if GITLEAKS in line:
        return True
    if "pragma" not in line and "pragma" not in previous:
        return False
    from detect_secrets.filters.allowlist import is_line_allowlisted
    from detect_secrets.util.code_snippet import CodeSnippet

    return bool(is_line_allowlisted(QUOTED[0], line, CodeSnippet([previous, line], 0, 1)))
