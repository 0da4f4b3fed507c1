"""Records and reports in the server: no answer waits for a record, and no report for an answer."""

from __future__ import annotations

import json
import socket
import threading

from git_copilot.assistant.server import client, server


def test_the_client_sends_the_final_text_with_a_report():
    assert client.can_be_served(["feedback", "c1", "edited"])
    assert client.reads_stdin(["feedback", "c1", "edited", "--final", "-"])
    assert client.reads_stdin(["feedback", "c1", "edited", "--final=-"])
    assert client.reads_stdin(["complete", "a:1", "--stdin"])
    assert not client.reads_stdin(["feedback", "c1", "edited", "--final", "x"])
    assert not client.reads_stdin(["search", "-"])


def test_an_answer_is_sent_before_it_is_recorded_and_reports_wait_for_the_record(
    start_server, monkeypatch
):
    monkeypatch.setattr(server, "RECORD_SECONDS", 60)
    gate, order = threading.Event(), []

    def runner(argv, terminal, session):
        order.append(argv[0])
        if argv[0] == "complete":
            session.defer(lambda: (gate.wait(60), order.append("recorded")))
        else:
            terminal.echo(json.dumps({"outcome": argv[-1]}))
        return 0

    running = start_server(runner)
    assert running.ask(op="run", argv=["complete"], cwd="/")["exit_code"] == 0
    assert order == ["complete"], "the answer is here, the record is not made yet"
    body = {"cwd": "/", "id": "c1", "outcome": "accepted"}
    threading.Timer(0.5, gate.set).start()  # long enough for a report that would not wait
    assert running.ask(feedback=body) == {"feedback": {"outcome": "accepted"}}
    assert order == ["complete", "recorded", "feedback"]


def test_a_report_does_not_wait_for_a_completion_in_progress(start_server):
    begun, gate, done = threading.Event(), threading.Event(), []

    def runner(argv, terminal, session):
        if argv[0] == "complete":
            begun.set()
            gate.wait(30)
            done.append(True)
        return 0

    running = start_server(runner)
    asked = threading.Thread(target=lambda: running.ask(op="run", argv=["complete"], cwd="/"))
    asked.start()
    assert begun.wait(10)
    answer = running.ask(op="run", argv=["feedback", "c1", "accepted"], cwd="/")
    assert answer["exit_code"] == 0 and done == []
    gate.set()
    asked.join(10)


def test_failed_or_undelivered_answers_are_not_recorded(start_server):
    recorded, begun, gate = [], threading.Event(), threading.Event()

    def runner(argv, terminal, session):
        session.defer(lambda: recorded.append(argv[1]))
        if argv[1] == "unread":
            begun.set()
            gate.wait(10)
        return 1 if argv[1] == "failed" else 0

    running = start_server(runner)
    assert running.ask(op="run", argv=["complete", "failed"], cwd="/")["exit_code"] == 1
    connection = client.connect()
    request = {"op": "run", "argv": ["complete", "unread"], "cwd": "/"}
    connection.sendall(json.dumps(request).encode() + b"\n")
    assert begun.wait(10)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    gate.set()
    assert running.ask(op="run", argv=["complete", "read"], cwd="/")["exit_code"] == 0
    running.ask(feedback={"cwd": "/", "id": "c", "outcome": "x"})  # waits until all is recorded
    assert recorded == ["read"]
