"""Feedback in the server: answers do not wait for records, nor reports for completions."""

from __future__ import annotations

import json
import socket
import threading

from git_copilot.assistant.client import transport
from git_copilot.assistant.service import recorder
from git_copilot.index.core.errors import CopilotError
from tests.support.running_server import completing


def test_an_answer_is_sent_before_it_is_recorded_and_reports_wait_for_the_record(
    start_server, monkeypatch
):
    monkeypatch.setattr(recorder, "RECORD_SECONDS", 60)
    gate, order = threading.Event(), []

    def run(operation, request, session, callbacks):
        order.append(operation)
        if operation == "complete":
            session.defer(lambda: (gate.wait(60), order.append("recorded")))
            return {}
        return {"outcome": request.outcome}

    running = start_server(run)
    assert running.ask(**completing("a.py:1"))["answer"] == {}
    assert order == ["complete"], "the answer is here, the record is not made yet"
    body = {"cwd": "/", "id": "c1", "outcome": "accepted"}
    threading.Timer(0.5, gate.set).start()  # long enough for a report that would not wait
    assert running.ask(feedback=body) == {"feedback": {"outcome": "accepted"}}
    assert order == ["complete", "recorded", "feedback"]


def test_a_report_does_not_wait_for_a_completion_in_progress(start_server):
    begun, gate, done = threading.Event(), threading.Event(), []

    def run(operation, request, session, callbacks):
        if operation == "complete":
            begun.set()
            gate.wait(30)
            done.append(True)
        return {}

    running = start_server(run)
    asked = threading.Thread(target=lambda: running.ask(**completing("a.py:1")))
    asked.start()
    assert begun.wait(10)
    reported = {"id": "c1", "outcome": "accepted", "cwd": "/"}
    assert running.ask(op="feedback", request=reported)["answer"] == {} and done == []
    gate.set()
    asked.join(10)


def test_failed_or_undelivered_answers_are_not_recorded(start_server):
    recorded, begun, gate = [], threading.Event(), threading.Event()

    def run(operation, request, session, callbacks):
        if operation == "feedback":
            return {}
        session.defer(lambda: recorded.append(request.location))
        if request.location == "unread":
            begun.set()
            gate.wait(10)
        if request.location == "failed":
            raise CopilotError("it failed")
        return {}

    running = start_server(run)
    assert running.ask(**completing("failed"))["error"]["exit_code"] == 1
    connection = transport.connect()
    connection.sendall(json.dumps(completing("unread")).encode() + b"\n")
    assert begun.wait(10)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    gate.set()
    assert running.ask(**completing("read"))["answer"] == {}
    running.ask(feedback={"cwd": "/", "id": "c", "outcome": "x"})  # waits until all is recorded
    assert recorded == ["read"]
