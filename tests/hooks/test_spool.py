"""The spool: every event is processed once or reported, whatever is killed."""

from __future__ import annotations

import pytest

from git_copilot.hooks import spool as spool_module
from git_copilot.hooks.events import Event
from git_copilot.hooks.plan import Job
from git_copilot.hooks.spool import MAX_BYTES, MAX_EVENTS, Spool


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "r ü" / ".git" / "copilot"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def spool(state):
    made = Spool(state)
    made.prepare()
    return made


def event(state, tree=""):
    return Event("post-commit", str(state.parent / tree))


def kinds(spool):
    return [entry.job.kind for entry in spool.jobs()]


def test_events_become_jobs_once(spool, state):
    spool.append(event(state))
    spool.append(event(state))
    assert spool.pending() == 2
    assert (spool.collect().events, spool.collect().events) == (2, 0)
    assert kinds(spool) == ["sync", "mine", "refresh"]
    assert spool.pending() == 3
    for entry in spool.jobs():
        spool.finish(entry.job)
    assert spool.pending() == 0
    assert spool.settle()
    assert sorted(path.name for path in (state / "spool").iterdir()) == ["jobs.json"]


def test_a_write_that_arrives_after_the_claim_is_not_lost(spool, state):
    spool.append(event(state))
    with (state / "spool/events").open("ab") as late:  # a shim between its open and its write
        spool.collect()
        for entry in spool.jobs():
            spool.finish(entry.job)
        late.write(b"post-commit\t-\tworktrees/w\t\n")
    assert not spool.settle()
    assert spool.collect().events == 1
    assert spool.jobs()[0].job == Job("sync", str(state.parent / "worktrees/w"))
    assert spool.settle()


@pytest.mark.parametrize("step", ["_save", "rename", "unlink"])
def test_a_kill_at_any_step_of_claiming_loses_nothing(spool, state, step, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise Killed

    spool.append(event(state))
    owner = Spool if step == "_save" else type(state)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(Killed):
            spool.collect()
            spool.settle()
    again = Spool(state)
    again.collect()
    assert [entry.job.kind for entry in again.jobs()] == ["sync", "mine", "refresh"]
    for entry in again.jobs():
        again.finish(entry.job)
    assert again.settle()
    assert again.pending() == 0


def test_a_started_job_survives_and_kills_are_told_from_stops(spool, state):
    spool.append(event(state))
    spool.collect()
    spool.start(spool.jobs()[0].job)
    found = Spool(state).jobs()[0]
    assert (found.attempts, found.deaths, found.running_since is not None) == (0, 0, True)
    spool.interrupt(found.job)
    spool.recover()
    assert (spool.jobs()[0].deaths, spool.jobs()[0].running_since) == (0, None)
    spool.start(found.job)
    spool.recover()
    spool.recover()
    assert (spool.jobs()[0].deaths, spool.jobs()[0].running_since) == (1, None)
    spool.fail(found.job, "no")
    spool.append(event(state))
    spool.collect()  # asked for anew: a new count of attempts, the same suspicion
    assert (spool.jobs()[0].attempts, spool.jobs()[0].deaths) == (0, 1)


def test_a_moved_or_copied_repository_uses_its_own_queue(spool, state, tmp_path):
    (state.parent / "worktrees/w").mkdir(parents=True)
    for tree in ("", "worktrees/w"):
        spool.append(event(state, tree))
    spool.collect()
    spool.give_up(spool.jobs()[1], "no")
    moved = tmp_path / "moved" / ".git"
    moved.parent.mkdir()
    state.parent.rename(moved)
    there = Spool(moved / "copilot")
    assert [entry.job.git_dir for entry in there.jobs()] == [str(moved)] * 3
    assert [entry.git_dir for entry in there.set_aside()] == [str(moved / "worktrees/w")]


def test_events_that_cannot_be_queued_are_claimed_once(spool, state, monkeypatch):
    """As on a full disk: events stay where the shim keeps them bounded."""

    def full(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "_save", full)
        for number in range(5):
            spool.append(event(state, f"worktrees/{number}"))
            with pytest.raises(OSError, match="space"):
                spool.collect()
    assert len(list((state / "spool").glob("claimed-*"))) == 1
    assert spool.pending() == 5
    while spool.collect().events:
        pass
    assert [kind for kind in kinds(spool)] == ["sync"] * 5 + ["mine", "refresh"]


@pytest.mark.parametrize("damage", ["torn line", "torn queue", "somebody else's"])
def test_an_unreadable_spool_triggers_a_full_sync(spool, state, damage, monkeypatch):
    (state.parent / "worktrees/w").mkdir(parents=True)
    (state.parent / "worktrees/w/HEAD").write_text("ref: refs/heads/w\n")
    if damage == "torn line":
        (state / "spool/events").write_bytes(b"post-commit\t-\tworktr")
    elif damage == "torn queue":
        (state / "spool/jobs.json").write_bytes(b'{"jobs": [')
    else:
        (state / "spool/claimed-1").write_bytes(b"post-commit\t-\tworktrees/w\t\n")
        read = type(state).read_bytes

        def deny(path):  # root may read everything, so permissions would not do
            if path.name.startswith("claimed"):
                raise PermissionError(13, "Permission denied")
            return read(path)

        monkeypatch.setattr(type(state), "read_bytes", deny)
    spool.recover()
    spool.collect()
    assert [(entry.job.kind, entry.job.git_dir) for entry in spool.jobs()] == [
        ("sync", str(state.parent)), ("sync", str(state.parent / "worktrees/w")),
        ("mine", str(state.parent)), ("refresh", str(state.parent)),
    ]  # fmt: skip
    assert not (state / "spool/claimed-1").exists()


def test_failed_jobs_are_retried_on_request(spool, state):
    spool.append(event(state, "worktrees/w"))
    spool.collect()
    for entry in spool.jobs():
        spool.give_up(entry, "no")
    assert (spool.pending(), spool.retry()) == (0, 3)
    spool.collect()
    assert [(entry.job.kind, entry.job.git_dir) for entry in spool.jobs()] == [
        ("sync", str(state.parent / "worktrees/w")), ("sync", str(state.parent)),
        ("mine", str(state.parent)), ("refresh", str(state.parent)),
    ]  # fmt: skip
    assert len(spool.set_aside()) == 3
    for entry in spool.jobs():
        spool.finish(entry.job)
    assert (spool.set_aside(), spool.retry()) == ([], 0)


def test_damaged_spool_files_are_tolerated(spool, state):
    (state / "spool/jobs.json").write_bytes(b'{"jobs": [{"kind": "dance"')
    (state / "spool/set-aside.jsonl").write_bytes(b"{torn\n")
    (state / "spool/claimed-x").write_bytes(b"not ours")
    (state / "spool/events").write_bytes(b"\0\xff\npost-commit\t-\t.\t\npost-com")
    collected = spool.collect()
    assert (collected.events, collected.malformed) == (1, 2)
    assert spool.set_aside() == []
    assert kinds(spool) == ["sync", "mine", "refresh"]


def test_unread_events_are_bounded_and_the_newest_kept(spool, state, monkeypatch):
    monkeypatch.setattr(spool_module, "MAX_BYTES", 4_000)
    monkeypatch.setattr(spool_module, "MAX_EVENTS", 40)
    for number in range(400):
        spool.append(event(state, f"worktrees/{number}"))
    assert (state / "spool/events").stat().st_size <= 4_000
    spool.collect()
    assert spool.jobs()[-3].job.git_dir.endswith("/399")


def test_a_flood_of_events_is_cut_to_the_newest(spool, state):
    line = b"post-commit\t-\tworktrees/%d\t\n"
    (state / "spool/events").write_bytes(b"".join(line % n for n in range(MAX_EVENTS + 5)))
    assert spool.collect().events == MAX_EVENTS
    assert spool.jobs()[0].job.git_dir.endswith("/5")
    assert len(line) * MAX_EVENTS < MAX_BYTES


def test_a_failed_job_is_reported_until_it_succeeds(spool, state):
    spool.append(event(state))
    spool.collect()
    sync, mine, _ = (entry.job for entry in spool.jobs())
    for job in (sync, mine, sync):
        spool.append(event(state))
        spool.collect()
        entry = next(e for e in spool.jobs() if e.job == job)
        spool.give_up(entry, f"no {job.kind}")
    assert [(e.kind, e.error) for e in spool.set_aside()] == [
        ("mine", "no mine"),
        ("sync", "no sync"),
    ]
    assert sync not in [entry.job for entry in spool.jobs()]
    spool.finish(mine)
    assert [e.kind for e in spool.set_aside()] == ["sync"]
    assert (spool.clear_set_aside(), spool.clear_set_aside(), spool.set_aside()) == (1, 0, [])


def test_reading_works_without_a_spool_folder(tmp_path):
    spool = Spool(tmp_path / "nothing" / "copilot")
    assert (spool.pending(), spool.jobs(), spool.set_aside()) == (0, (), [])
