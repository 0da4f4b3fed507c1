"""The prefilter loses no secret, and a span is judged as in the whole text."""

from __future__ import annotations

from pathlib import Path

import pytest
from detect_secrets.core import scan
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings
from hypothesis import example, given
from hypothesis import strategies as st

from git_copilot.index.secrets import detectors as secret_detectors
from git_copilot.index.secrets import scan as secrets
from git_copilot.index.secrets.assignments import PASSWORD, TOKEN
from git_copilot.index.secrets.blocks import MANIFEST
from git_copilot.index.secrets.contexts import CONTEXTS
from git_copilot.index.secrets.detectors import ENTROPIES, LEFT_OUT, assignment_styles, detectors
from git_copilot.index.secrets.names import secret_names
from git_copilot.index.secrets.prefilter import OURS
from git_copilot.index.secrets.scan import find_secrets, secret_lines, touches_secret
from git_copilot.index.text.classify import language_of
from tests.support.secret_samples import KEY, MANY, PATHS, documents

OUR_KINDS = {PASSWORD, TOKEN, MANIFEST, *(context.kind for context in CONTEXTS)}
ROOT = Path(__file__).resolve().parents[3]
CONFIGURATION = {"git_copilot.index.secrets.false_positives." + name for name in (
    "is_mask", "is_words", "is_placeholder", "is_digest", "is_named_id", "is_no_password",
)} | {"detect_secrets.filters.allowlist.is_line_allowlisted"} | {
    "detect_secrets.filters.heuristic." + name for name in (
        "is_sequential_string", "is_potential_uuid", "is_templated_secret",
        "is_prefixed_with_dollar_sign", "is_not_alphanumeric_string",
    )
}  # fmt: skip


def found_without_prefilter(text, path):
    """Findings with every line passed to every detector."""
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        previous = text.split("\n")[number - 2] if number > 1 else ""
        if not secret_detectors.is_allowlisted(line.rstrip(), previous):
            spans = secrets._examine(
                line.rstrip(),
                assignment_styles(language_of(path) if path else None),
                set(detectors()) | OURS,
                secret_names(line.rstrip()),
            )
            found |= {(number, kind) for _, _, kind in spans}
    return found


@pytest.mark.slow
@MANY
@given(documents(), PATHS)
@example(
    '// ["sl__pass"]  ="0000000000000000000000000000000000000000000000000000000000000012"', "a.py"
)
@example(
    '// ["sl__pass"]\t\t="0000000000000000000000000000000000000000000000000000000000000012"', "a.py"
)
@example('// ["clou_pw"]="AAAAAAAAAAAAAAAAAAAAAACB"', "a.py")
def test_the_prefilter_loses_no_generated_secret(text, path):
    found = {(f.line, f.kind) for f in find_secrets(text, path)}
    assert found_without_prefilter(text, path) <= found


def found_by_detect_secrets(text, path):
    """Lines that detect-secrets' own scanner reports with our configuration."""
    plugins = [
        {"name": c.__name__, **({"limit": ENTROPIES[c.__name__]} if c.__name__ in ENTROPIES else {})}
        for c in get_mapping_from_secret_type_to_class().values()
        if c.__name__ not in LEFT_OUT
    ]  # fmt: skip
    used = {"plugins_used": plugins, "filters_used": [{"path": p} for p in CONFIGURATION]}
    lines = list(enumerate(text.split("\n"), 1))
    with transient_settings(used):
        return {
            (secret.line_number, secret.type)
            for way in assignment_styles(language_of(path) if path else None)
            for secret in scan._process_line_based_plugins(lines, filename=way)
        }


@pytest.mark.slow
@MANY
@given(documents(), PATHS)
def test_everything_detect_secrets_reports_is_found(text, path):
    found = {(f.line, f.kind) for f in find_secrets(text, path)}
    reported = found_by_detect_secrets(text, path)
    assert reported <= found
    ours = {"Private Key", "Access Token", *OUR_KINDS}
    ours |= {d.kind for d in map(detectors().get, ENTROPIES)}
    assert {kind for _, kind in found - reported} <= ours


@pytest.mark.parametrize("path", sorted(ROOT.glob("[aiht]*/**/*.py")), ids=lambda p: p.name)
def test_the_prefilter_loses_nothing_in_real_files(path):
    text = path.read_text("utf-8")
    found = {(f.line, f.kind) for f in find_secrets(text, path.name)}
    assert found_without_prefilter(text, path.name) <= found


@pytest.mark.slow
@MANY
@given(documents(), st.booleans(), st.sampled_from(["python", "text", "go"]), st.data())
def test_a_span_is_judged_as_in_the_whole_text(text, key, language, draw):
    text = "\n".join(
        ["# pragma: allowlist nextline secret", text, *KEY[:-1] * key, "x = 1\n", text]
    )
    data = text.encode()
    places = st.integers(0, len(data))
    start, end = sorted((draw.draw(places), draw.draw(places)))
    first = data.count(b"\n", 0, start) + 1
    lines = range(first, first + data.count(b"\n", start, end) + 1)
    wanted = not secret_lines(text, language=language).isdisjoint(lines)
    assert touches_secret(data, start, end, language) == wanted
