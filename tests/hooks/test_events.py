"""The line format of events, and the plan of jobs made from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.hooks.events import Event, decode, decode_all, encode
from git_copilot.hooks.plan import Job, merge, plan

COMMON = "/a b/ü\n/.git"


@given(
    st.lists(st.text(min_size=1).filter(lambda t: t.isprintable() or t == "\n")),
    st.one_of(st.none(), st.floats(0, 2e9).map(lambda f: round(f, 3))),
)
def test_an_event_round_trips_as_one_line(args, received):
    event = Event("post-checkout", f"{COMMON}/worktrees/x", tuple(args), received)
    line = encode(event, COMMON)
    assert line.count(b"\n") == 1
    assert decode_all(line, COMMON) == ([event], 0)


def test_paths_with_newlines_tabs_and_raw_bytes_round_trip():
    event = Event("post-merge", "/else\nwhere/\udcff\t.git", ("a b", "\\n", "\t"), None)
    assert decode(encode(event, COMMON).rstrip(b"\n"), COMMON) == event


def test_a_moved_repository_still_finds_its_events():
    line = encode(Event("post-commit", "/old/.git/worktrees/w"), "/old/.git").rstrip(b"\n")
    event = decode(line, "/new/.git")
    assert event is not None
    assert event.git_dir == "/new/.git/worktrees/w"


@pytest.mark.parametrize(
    "line",
    [b"", b"post-commit", b"post-commit\t-\t.", b"post-commit\tnow\t.\t", b"\t-\t.\t",
     b"Post Commit\t-\t.\t", b"post-commit\t-\t\t", b"post-commit\t-\t.\ta\tb", b"\xff\xfe\0"],
)  # fmt: skip
def test_malformed_lines_are_counted_and_skipped(line):
    good = b"post-commit\t-\t.\t\n"
    events, bad = decode_all(good + line + b"\n" + good, COMMON)
    assert [event.kind for event in events] == ["post-commit", "post-commit"]
    assert bad == (1 if line else 0)


def test_an_event_kind_that_cannot_be_read_back_is_not_written():
    with pytest.raises(ValueError, match="kind"):
        encode(Event("post commit", COMMON), COMMON)


def test_a_rebase_of_200_commits_plans_one_sync():
    events = [Event("post-commit", COMMON)] * 200 + [Event("post-rewrite", COMMON, ("rebase",))]
    assert plan(events, COMMON) == (
        Job("sync", COMMON),
        Job("mine", COMMON),
        Job("refresh", COMMON),
    )


def test_worktrees_are_synced_in_order_of_arrival_before_the_repository_wide_work():
    one, two = f"{COMMON}/worktrees/1", f"{COMMON}/worktrees/2"
    events = [Event("post-commit", two), Event("post-checkout", one), Event("post-commit", two)]
    jobs = plan(events, COMMON)
    assert [(job.kind, job.git_dir) for job in jobs] == [
        ("sync", two), ("sync", one), ("mine", COMMON), ("refresh", COMMON),
    ]  # fmt: skip
    later = plan([Event("post-merge", COMMON), Event("post-merge", one)], COMMON)
    assert [(job.kind, job.git_dir) for job in merge(jobs, later)] == [
        ("sync", two), ("sync", one), ("sync", COMMON), ("mine", COMMON), ("refresh", COMMON),
    ]  # fmt: skip


def test_no_events_give_no_jobs():
    assert plan([], COMMON) == ()
