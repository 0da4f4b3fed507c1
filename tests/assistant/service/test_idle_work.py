"""Between two requests the server does what the last answer left to do, and yields to the next."""

from __future__ import annotations

import threading
import time

import pytest

from git_copilot.assistant.service.executor import RequestExecutor
from tests.support.running_server import ScriptedService


@pytest.fixture
def service():
    return ScriptedService(lambda *_: {})


@pytest.fixture
def executor(service):
    found = RequestExecutor(service)
    yield found
    found.close()


class Work:
    """Works until it is interrupted or allowed to end."""

    def __init__(self):
        self.begun, self.ended, self.finish = 0, threading.Event(), threading.Event()
        self.running = threading.Event()
        self.threads = set()

    def __call__(self, interrupted):
        self.begun += 1
        self.threads.add(threading.current_thread().name)
        self.running.set()
        while not interrupted():
            if self.finish.is_set():
                self.ended.set()
                return True
            time.sleep(0.001)
        self.running.clear()
        return False


def leave(executor, service, work):
    """A request that leaves work to do."""

    def request():
        service.session.idle_work = work

    executor.run(request, lambda: False)
    executor.go_on()


def test_work_is_done_after_the_answer_in_the_thread_of_requests(executor, service):
    work = Work()
    work.finish.set()
    leave(executor, service, work)
    assert work.ended.wait(5)
    name, _ = executor.run(lambda: threading.current_thread().name, lambda: False)
    assert work.threads == {name}
    executor.go_on()
    executor.run(lambda: None, lambda: False)
    assert work.begun == 1


def test_a_request_interrupts_it_and_it_goes_on_after_that(executor, service):
    work = Work()
    leave(executor, service, work)
    assert work.running.wait(5)
    assert executor.run(lambda: "answered", lambda: False) == ("answered", [])
    assert not work.running.is_set()
    executor.go_on()
    assert work.running.wait(5)
    work.finish.set()
    assert work.ended.wait(5)
    assert work.begun == 2


def test_a_request_that_was_cancelled_in_the_queue_does_not_end_it(executor, service):
    work = Work()
    leave(executor, service, work)
    assert work.running.wait(5)
    assert executor.run(lambda: None, lambda: True) is None
    executor.go_on()
    work.finish.set()
    assert work.ended.wait(5)


def test_the_work_of_a_newer_answer_replaces_it(executor, service):
    first, second = Work(), Work()
    leave(executor, service, first)
    assert first.running.wait(5)
    second.finish.set()
    leave(executor, service, second)
    assert second.ended.wait(5)
    assert first.begun == 1


def test_work_that_fails_is_not_tried_again(executor, service):
    tried = []

    def fails(interrupted):
        tried.append(1)
        raise MemoryError

    leave(executor, service, fails)
    for _ in range(3):
        executor.run(lambda: None, lambda: False)
        executor.go_on()
    executor.run(lambda: None, lambda: False)
    assert tried == [1]


def test_closing_ends_it(service):
    executor, work = RequestExecutor(service), Work()
    leave(executor, service, work)
    assert work.running.wait(5)
    executor.close()
    end = time.monotonic() + 5
    while work.running.is_set() and time.monotonic() < end:
        time.sleep(0.001)
    assert not work.running.is_set()
