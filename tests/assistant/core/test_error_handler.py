"""Reports of bugs."""

from __future__ import annotations

import pytest

from git_copilot.assistant.core.config import log_dir
from git_copilot.assistant.core.error_handler import describe_failure


def report(text):
    try:
        raise KeyError(text)
    except KeyError as exc:
        return describe_failure(exc)


@pytest.mark.parametrize("older", [False, True])
def test_only_the_owner_may_read_reports(hermetic, older):
    path = log_dir() / "errors.log"
    if older:
        path.parent.mkdir(parents=True)
        path.write_text("older\n")
        path.chmod(0o644)
    assert report("first").log == str(path)
    report("second \ud800")
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert text.startswith("older\n") is older
    assert text.index("KeyError: 'first'") < text.index("KeyError: 'second")


def test_a_report_that_cannot_be_written_is_said_so(hermetic):
    (log_dir() / "errors.log").mkdir(parents=True)
    failure = report("bug")
    assert failure.log is None and "could not be written" in failure.hint
