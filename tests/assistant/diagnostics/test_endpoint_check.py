"""``doctor`` and ``status`` name the configured endpoint and whether it can be used."""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.diagnostics import doctor, endpoint_check
from git_copilot.assistant.diagnostics.endpoint_check import examine_endpoint
from git_copilot.assistant.service.service import Service
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.tiny_models import save_tiny

MODEL, ADAPTER = "qwen2.5-coder-7b", "20260101-000000-abcd"


@contextmanager
def server(status=200, body=None, hold=None):
    """An HTTP server with a list of models; yields its address and the requests."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            if hold is not None:
                hold.wait(10)
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}", asked
        finally:
            if hold is not None:
                hold.set()
            listener.shutdown()
            thread.join()


def listing(*names):
    return json.dumps({"object": "list", "data": [{"id": n, "object": "model"} for n in names]})


def check_endpoint(url, adapter=None, **more):
    return examine_endpoint(Settings(endpoint=url, **more), MODEL, adapter)


def test_without_an_endpoint_nothing_is_requested_or_reported():
    assert examine_endpoint(Settings(), MODEL, ADAPTER) is None


@pytest.mark.parametrize(
    ("names", "adapter", "settings", "level", "says", "mend"),
    [
        ([MODEL, "b"], None, {}, "ok", f"has {MODEL}", ""),
        (["Qwen/X"], None, {"endpoint_model": "Qwen/X", "fim": "qwen2.5-coder"}, "ok",
         "has Qwen/X", ""),
        (["a", "b", "c", "d"], None, {}, "warn", f"not list {MODEL}; it has a, b, c, …",
         "git config copilot.endpointModel 'a'"),
        ([MODEL], ADAPTER, {}, "ok", "is not used there", ""),
        ([MODEL, ADAPTER], ADAPTER, {"endpoint_adapters": "name"}, "ok",
         f"and the adapter {ADAPTER}", ""),
        ([MODEL], ADAPTER, {"endpoint_adapters": "name"}, "warn", f"not the adapter {ADAPTER}",
         "endpointAdapters none"),
        ([MODEL], ADAPTER, {"endpoint_adapters": "load"}, "ok", "when it is first needed", ""),
    ],
)  # fmt: skip
def test_a_model_list_in_any_known_shape_is_parsed(names, adapter, settings, level, says, mend):
    with server(body=listing(*names)) as (url, asked):
        found = check_endpoint(url, adapter, **settings)
    assert asked == [("/v1/models", None)]
    assert (found.check, found.level) == ("endpoint", level)
    assert found.message.startswith(f"{url}/v1 answers") and says in found.message
    assert mend in found.mend and bool(mend) == bool(found.mend)


def test_a_server_without_a_model_list_is_no_problem():
    with server(404, "not found") as (url, _):
        found = check_endpoint(url)
    assert found.level == "ok" and "lists no models" in found.message
    with server(body='{"data": []}') as (url, _):
        assert check_endpoint(url).level == "ok"


def test_each_problem_is_reported_with_its_remedy(monkeypatch):
    with server(401, '{"error": {"message": "no key"}}') as (url, _):
        found = check_endpoint(url)
    assert found.level == "fail" and "401: no key" in found.message
    assert "copilot.endpointKey NAME" in found.mend
    found = check_endpoint(url)  # it is gone
    assert found.level == "fail" and "cannot be reached" in found.message
    assert "unset `copilot.endpoint`" in found.mend
    # Only here: on a busy machine others take as long.
    with monkeypatch.context() as patch, server(body="", hold=threading.Event()) as (url, _):
        patch.setattr(endpoint_check, "SECONDS", 0.2)
        found = check_endpoint(url)
    assert found.level == "warn" and "longer than 0.2 s" in found.message
    assert "its" not in found.mend and "log" in found.mend
    with server(body="<html>") as (url, _):
        found = check_endpoint(url)
    assert found.level == "fail" and "no JSON object" in found.message
    assert check_endpoint("localhost:1").level == "fail"


def test_invalid_settings_are_reported_without_a_request():
    with server(body=listing(MODEL)) as (url, asked):
        ids = check_endpoint(url, endpoint_prompt="tokens")
        unknown = check_endpoint(url, endpoint_model="mystery-9b")
    assert not asked
    assert ids.level == "fail" and ids.mend == "git config copilot.endpointPrompt text"
    assert unknown.level == "fail" and "copilot.fim FAMILY" in unknown.mend


def test_the_api_key_is_sent(monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_TEST_KEY", "s3cr3t")
    with server(body=listing(MODEL)) as (url, asked):
        found = check_endpoint(url, endpoint_key="GIT_COPILOT_TEST_KEY")
    assert asked == [("/v1/models", "Bearer s3cr3t")] and "s3cr3t" not in found.message


@pytest.fixture
def repo_with_endpoint(repo, monkeypatch):
    """An initialised repository whose model is not on this machine."""
    repo.commit({"a.py": "def area(w):\n    return w\n"})
    state = repo.git_dir / "copilot"
    trust_repository(state)
    Database(state / DATABASE_NAME, create=True).close()
    repo.git("config", "copilot.model", MODEL)
    monkeypatch.chdir(repo.path)
    return repo


def status(project, *options):
    out = io.StringIO()
    terminal = Terminal(project.path, lambda: b"", out, io.StringIO())
    assert dispatch(["status", *options], terminal, Service()) == 0
    return out.getvalue()


def test_doctor_and_status_name_the_endpoint(repo_with_endpoint):
    def found(check):
        return [f for f in doctor.examine() if f.check == check]

    assert not found("endpoint") and found("model")[0].level == "fail"
    assert json.loads(status(repo_with_endpoint, "--json"))["endpoint"] is None
    assert "endpoint" not in status(repo_with_endpoint)
    with server(body=listing("other")) as (url, _):
        repo_with_endpoint.git("config", "copilot.endpoint", url)
        (told,) = found("endpoint")
        assert told.level == "warn" and "does not list" in told.message
        (model,) = found("model")
        assert model.level == "ok" and "is not downloaded" in model.message
        facts = json.loads(status(repo_with_endpoint, "--json"))["endpoint"]
        assert facts["url"] == url and facts["ready"] is False
        assert facts["message"] == f"{told.message}; {told.mend}"
        (line,) = [x for x in status(repo_with_endpoint).splitlines() if x.startswith("endpoint ")]
        assert line == f"endpoint  {facts['message']}"
        repo_with_endpoint.git("config", "copilot.endpointModel", "other")
        repo_with_endpoint.git("config", "copilot.fim", "starcoder")
        assert json.loads(status(repo_with_endpoint, "--json"))["endpoint"]["ready"] is True


def test_a_local_model_needs_no_family_setting(repo_with_endpoint, tmp_path):
    folder = save_tiny(tmp_path / "mystery")
    with server(body=listing(str(folder))) as (url, _):
        found = examine_endpoint(Settings(endpoint=url), str(folder), None)
    assert found.level == "ok"
