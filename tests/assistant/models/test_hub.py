"""An interrupted download from the Hugging Face hub is resumed."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "c" * 40
FILES = {
    "config.json": b"{}",
    "model.safetensors": random.Random(1).randbytes(300_000),
}
CODE = """
import os, sys
from git_copilot.assistant.models import pull, wheel_download
from git_copilot.index.core.errors import ModelError
wheel_download.PAUSE = 0.01
steps = []
try:
    folder, _ = pull.pull("toy/base", progress=lambda *step: steps.append(step))
except ModelError as exc:
    sys.exit(f"git-copilot: {exc}")
print(sorted(p.name for p in folder.iterdir()), {label for label, *_ in steps})
"""


class Hub(BaseHTTPRequestHandler):
    """What a download needs of the hub; ``drop`` cuts the weights after that many bytes."""

    drop: int | None = None
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path.startswith("/api/") and "/tree/" in path:
            self.answer(json.dumps([self.entry(name) for name in FILES]).encode())
        elif path.startswith("/api/"):
            siblings = [{"rfilename": name, **self.large(name)} for name in FILES]
            facts = {"id": "toy/base", "sha": COMMIT, "siblings": siblings, "private": False}
            self.answer(json.dumps(facts | {"tags": [], "downloads": 0, "likes": 0}).encode())
        elif "/resolve/" in path and name in FILES:
            self.file(name)
        else:
            self.answer(b"{}", 404)

    def large(self, name):
        data = FILES[name]
        if not name.startswith("model"):
            return {"size": len(data)}
        digest = hashlib.sha256(data).hexdigest()
        lfs = {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 130}
        return {"size": len(data), "lfs": lfs}

    def entry(self, name):
        oid = hashlib.sha1(FILES[name]).hexdigest()
        return {"type": "file", "path": name, "oid": oid, **self.large(name)}

    def file(self, name):
        data, asked = FILES[name], self.headers.get("Range")
        if self.command == "GET":
            self.asked.append((name, asked))
        begin = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        more = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if asked:
            more["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self.answer(data[begin:], 206 if asked else 200, cut=name.startswith("model"), **more)

    def answer(self, body, status=200, *, cut=False, **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut and Hub.drop is not None:
            body, self.close_connection = body[: Hub.drop], True
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    Hub.drop, Hub.asked = None, []
    yield tmp_path / "cache"
    server.shutdown()
    server.server_close()


def pull():
    return subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)


def test_a_model_is_downloaded_and_no_temporary_files_remain(hub):
    done = pull()
    assert done.returncode == 0, done.stderr
    assert "['config.json', 'git-copilot.json', 'model.safetensors']" in done.stdout
    assert "downloading toy/base, MB" in done.stdout and done.stderr == ""
    assert [p.name for p in (hub / "downloads").iterdir()] == ["toy--base.lock"]


def test_a_broken_download_is_resumed(hub):
    Hub.drop = 100_000
    done = pull()
    assert done.returncode == 0, done.stderr
    ranges = [asked for name, asked in Hub.asked if name == "model.safetensors"]
    assert ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert [p.name for p in (hub / "downloads").iterdir()] == ["toy--base.lock"]


@pytest.mark.slow
def test_the_next_pull_resumes_a_partial_download(hub):
    data = FILES["model.safetensors"]
    (hub / "downloads").mkdir(parents=True)
    part = hub / "downloads" / f"toy--base-{hashlib.sha256(data).hexdigest()[:12]}.part"
    part.write_bytes(data[:100_000])
    Hub.drop = 0
    broken = pull()
    assert broken.returncode == 1 and "resumes there" in broken.stderr
    Hub.drop, Hub.asked = None, []
    assert pull().returncode == 0
    ranges = [asked for name, asked in Hub.asked if name == "model.safetensors"]
    assert ranges == ["bytes=100000-"]


def test_a_corrupt_partial_download_is_detected_by_its_hash(hub):
    data = FILES["model.safetensors"]
    (hub / "downloads").mkdir(parents=True)
    part = hub / "downloads" / f"toy--base-{hashlib.sha256(data).hexdigest()[:12]}.part"
    part.write_bytes(b"x" * 100_000)
    assert pull().returncode == 0
    weights = hub / "models" / "toy--base" / "model.safetensors"
    assert weights.read_bytes() == data
