"""Requests wait in a bounded queue; a later one of the same place drops an earlier one, and equal
ones share one computation."""

from __future__ import annotations

import threading
import time

import pytest

from git_copilot.assistant.service import request_queue
from git_copilot.assistant.service.executor import RequestExecutor
from git_copilot.assistant.service.request_queue import RequestDropped, RequestQueue, ServerBusy
from tests.support.running_server import ScriptedService


@pytest.fixture
def queue():
    executor = RequestExecutor(ScriptedService(lambda *_: {}))
    yield RequestQueue(executor)
    executor.close()


class Caller(threading.Thread):
    """Runs one request; ``result`` is what came of it."""

    def __init__(self, queue, action, **more):
        super().__init__(daemon=True)
        self.left = threading.Event()
        self._call = lambda: queue.run(action, self.left.is_set, **more).result
        self.result = None
        self.start()

    def run(self):
        try:
            self.result = self._call()
        except BaseException as exc:  # noqa: BLE001 - compared by the test
            self.result = exc

    def outcome(self):
        self.join(10)
        assert not self.is_alive()
        return self.result


class Slow:
    """An action that ends when it is told to, or when nobody needs it."""

    def __init__(self):
        self.running, self.finish = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, is_cancelled):
        self.calls += 1
        self.running.set()
        while not self.finish.wait(0.001):
            if is_cancelled():
                return "partial"
        return "whole"


def test_a_later_request_of_a_place_stops_the_running_one(queue):
    slow = Slow()
    first = Caller(queue, slow, place="here")
    assert slow.running.wait(5)
    later = Caller(queue, lambda gone: "later", place="here")
    assert later.outcome() == "later"
    dropped = first.outcome()
    assert isinstance(dropped, RequestDropped) and dropped.superseded
    assert (queue.waiting, queue.cancelled) == (0, 1)


def test_other_places_wait_for_their_turn(queue):
    slow = Slow()
    first = Caller(queue, slow, place="here")
    assert slow.running.wait(5)
    other = Caller(queue, lambda gone: "other", place="there")
    time.sleep(0.05)
    assert other.result is None
    slow.finish.set()
    assert (first.outcome(), other.outcome()) == ("whole", "other")


def test_a_waiting_request_whose_client_left_is_not_computed(queue):
    slow, never = Slow(), Slow()
    first = Caller(queue, slow)
    assert slow.running.wait(5)
    second = Caller(queue, never)
    second.left.set()
    slow.finish.set()
    assert first.outcome() == "whole"
    dropped = second.outcome()
    assert isinstance(dropped, RequestDropped) and not dropped.superseded
    assert never.calls == 0


def test_equal_requests_share_one_computation_until_all_left(queue):
    slow = Slow()
    callers = [Caller(queue, slow, same="question") for _ in range(4)]
    assert slow.running.wait(5)
    callers[0].left.set()
    callers[1].left.set()
    time.sleep(0.1)
    slow.finish.set()
    assert [each.outcome() for each in callers[2:]] == ["whole", "whole"]
    assert slow.calls == 1

    slow = Slow()
    callers = [Caller(queue, slow, same="question") for _ in range(3)]
    assert slow.running.wait(5)
    for each in callers:
        each.left.set()
    assert all(isinstance(each.outcome(), RequestDropped) for each in callers)
    assert slow.calls == 1


def test_an_answer_is_not_kept_for_later_equal_requests(queue):
    numbers = iter(range(5))
    for number in range(3):
        assert Caller(queue, lambda gone: next(numbers), same="q").outcome() == number


def test_everybody_who_shares_a_failure_is_told(queue):
    gate = threading.Event()

    def fail(is_cancelled):
        gate.wait(5)
        raise ZeroDivisionError

    callers = [Caller(queue, fail, same="q") for _ in range(3)]
    time.sleep(0.05)
    gate.set()
    assert all(isinstance(each.outcome(), ZeroDivisionError) for each in callers)
    assert Caller(queue, lambda gone: "next", same="q").outcome() == "next"


def test_only_one_of_those_who_share_an_answer_records_it(queue):
    service = queue.executor._service
    gate, recorded = threading.Event(), []

    def action(is_cancelled):
        gate.wait(5)
        service.session.defer(lambda: recorded.append(1))
        return "answer"

    turns = []
    threads = [
        threading.Thread(target=lambda: turns.append(queue.run(action, lambda: False, same="q")))
        for _ in range(3)
    ]
    for each in threads:
        each.start()
    time.sleep(0.05)
    gate.set()
    for each in threads:
        each.join(10)
    assert sorted(len(turn.deferred) for turn in turns) == [0, 0, 1]


def test_a_full_queue_refuses_at_once_and_recovers(queue, monkeypatch):
    monkeypatch.setattr(request_queue, "MAX_WAITING", 3)
    slow = Slow()
    callers = [Caller(queue, slow, place=number) for number in range(3)]
    assert slow.running.wait(5)
    while queue.waiting < 3:
        time.sleep(0.001)
    with pytest.raises(ServerBusy):
        queue.run(lambda gone: "late", lambda: False)
    # A later request of a place that waits is refused as well: its earlier one has its turn.
    slow.finish.set()
    assert [each.outcome() for each in callers] == ["whole"] * 3
    assert queue.run(lambda gone: "again", lambda: False).result == "again"


def test_what_is_dropped_leaves_the_queue_at_once(queue, monkeypatch):
    """Forty people who type leave hundreds of requests a second behind."""
    monkeypatch.setattr(request_queue, "MAX_WAITING", 4)
    slow = Slow()
    first = Caller(queue, slow)
    assert slow.running.wait(5)
    left = Caller(queue, lambda gone: "never")
    typed = [Caller(queue, lambda gone: "typed", place="here")]
    left.left.set()
    for _ in range(20):
        typed.append(Caller(queue, lambda gone: "typed", place="here"))
        assert isinstance(typed[-2].outcome(), RequestDropped)
    assert isinstance(left.outcome(), RequestDropped)
    slow.finish.set()
    assert (first.outcome(), typed[-1].outcome()) == ("whole", "typed")
    assert queue.waiting == 0


@pytest.mark.parametrize(("crowd", "expected"), [(99, list(range(6))), (0, [5, 4, 3, 2, 1, 0])])
def test_first_come_first_served_and_in_a_crowd_the_latest(queue, monkeypatch, crowd, expected):
    monkeypatch.setattr(request_queue, "CROWD", crowd)
    monkeypatch.setattr(request_queue, "REST_SECONDS", 0.05)
    slow, order = Slow(), []
    first = Caller(queue, slow)
    assert slow.running.wait(5)
    callers = []
    for number in range(6):
        callers.append(Caller(queue, lambda gone, number=number: order.append(number)))
        while len(queue._line) < number + 2:
            time.sleep(0.0005)
    time.sleep(0.1)
    slow.finish.set()
    for each in (first, *callers):
        each.outcome()
    assert order == expected


def test_in_a_crowd_nothing_is_begun_for_who_still_types(queue, monkeypatch):
    monkeypatch.setattr(request_queue, "CROWD", 0)
    begun = []
    typed = []
    for key in range(10):
        typed.append(Caller(queue, lambda gone, key=key: begun.append(key), place="here"))
        time.sleep(0.02)
    typed[-1].outcome()
    assert begun == [9]


def test_typing_on_drops_only_the_request_of_that_place(queue):
    slow = Slow()
    mine = Caller(queue, slow, place="mine", same="question")
    assert slow.running.wait(5)
    theirs = Caller(queue, slow, place="theirs", same="question")
    while queue.waiting < 2:
        time.sleep(0.001)
    later = Caller(queue, lambda gone: "later", place="mine")
    time.sleep(0.05)
    slow.finish.set()
    dropped = mine.outcome()
    assert isinstance(dropped, RequestDropped) and dropped.superseded
    assert (theirs.outcome(), later.outcome()) == ("whole", "later")


def test_nobody_joins_a_computation_that_was_told_to_stop(queue):
    running, told, go_on = threading.Event(), threading.Event(), threading.Event()

    def cut_short(is_cancelled):
        running.set()
        while not is_cancelled():
            time.sleep(0.001)
        told.set()
        go_on.wait(5)
        return "partial"

    first = Caller(queue, cut_short, same="question")
    assert running.wait(5)
    first.left.set()
    assert told.wait(5)
    second = Caller(queue, lambda gone: "whole", same="question")
    time.sleep(0.05)
    go_on.set()
    assert second.outcome() == "whole"
    assert isinstance(first.outcome(), RequestDropped)


def test_a_request_that_was_overtaken_drops_no_later_one(queue):
    """Threads read the requests of two connections in any order. What counts is which came first."""
    slow, stale = Slow(), Slow()
    arrived = queue.arrive()
    later = Caller(queue, slow, place="here")
    assert slow.running.wait(5)
    with pytest.raises(RequestDropped) as dropped:
        queue.run(stale, lambda: False, place="here", arrived=arrived)
    assert dropped.value.superseded
    slow.finish.set()
    assert later.outcome() == "whole"
    assert stale.calls == 0
    # Once the later one is answered, nobody is in its way any more.
    assert queue.run(lambda gone: "alone", lambda: False, place="here", arrived=arrived)


def test_a_request_that_its_client_closed_drops_no_later_one(queue):
    slow = Slow()
    later = Caller(queue, slow, place="here")
    assert slow.running.wait(5)
    with pytest.raises(RequestDropped):
        queue.run(lambda gone: "earlier", lambda: True, place="here")
    slow.finish.set()
    assert later.outcome() == "whole"
