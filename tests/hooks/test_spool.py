"""The spool: what is appended is done once or reported, whatever is killed."""

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


def test_a_started_job_survives_with_its_count(spool, state):
    spool.append(event(state))
    spool.collect()
    spool.start(spool.jobs()[0].job)
    found = Spool(state).jobs()[0]
    assert (found.attempts, found.running_since is not None) == (1, True)
    spool.interrupt(found.job)
    assert (spool.jobs()[0].attempts, spool.jobs()[0].running_since) == (0, None)


def test_damaged_files_are_survived(spool, state):
    (state / "spool/jobs.json").write_bytes(b'{"jobs": [{"kind": "dance"')
    (state / "spool/set-aside.jsonl").write_bytes(b"{torn\n")
    (state / "spool/claimed-x").write_bytes(b"not ours")
    (state / "spool/events").write_bytes(b"\0\xff\npost-commit\t-\t.\t\npost-com")
    collected = spool.collect()
    assert (collected.events, collected.malformed) == (1, 2)
    assert spool.set_aside() == []
    assert kinds(spool) == ["sync", "mine", "refresh"]


def test_what_nobody_reads_stays_bounded_and_keeps_the_newest(spool, state, monkeypatch):
    monkeypatch.setattr(spool_module, "MAX_BYTES", 4_000)
    monkeypatch.setattr(spool_module, "MAX_EVENTS", 40)
    for number in range(400):
        spool.append(event(state, f"worktrees/{number}"))
    assert (state / "spool/events").stat().st_size <= 4_000
    spool.collect()
    assert spool.jobs()[-3].job.git_dir.endswith("/399")


def test_a_flood_is_cut_to_the_newest(spool, state):
    line = b"post-commit\t-\tworktrees/%d\t\n"
    (state / "spool/events").write_bytes(b"".join(line % n for n in range(MAX_EVENTS + 5)))
    assert spool.collect().events == MAX_EVENTS
    assert spool.jobs()[0].job.git_dir.endswith("/5")
    assert len(line) * MAX_EVENTS < MAX_BYTES


def test_what_was_given_up_is_reported_until_it_works_again(spool, state):
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


def test_reading_needs_no_folder(tmp_path):
    spool = Spool(tmp_path / "nothing" / "copilot")
    assert (spool.pending(), spool.jobs(), spool.set_aside()) == (0, (), [])
