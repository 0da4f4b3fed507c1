"""Fixtures for tests of the HTTP server."""

from __future__ import annotations

import pytest

from tests.support.http_server import HttpRunning, fill_answer


@pytest.fixture
def serve_http(runtime):
    """Starts HTTP servers, with a function that answers; they stop with the test."""
    started = []

    def start(run=lambda request, callbacks: fill_answer("done"), **more):
        started.append(HttpRunning(run, **more))
        return started[-1]

    yield start
    for running in started:
        running.stop()
