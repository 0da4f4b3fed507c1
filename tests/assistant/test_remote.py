"""An OpenAI-compatible server as the engine: real (transformers' own), and a server that replays
answers written here in the shapes that OpenAI, vLLM, llama-server and FastAPI document."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager, suppress

import pytest
from tiny import save_tiny

from git_copilot.assistant import endpoint
from git_copilot.assistant.complete import complete
from git_copilot.assistant.config import Settings, load_settings
from git_copilot.assistant.endpoint import Endpoint, EndpointError
from git_copilot.assistant.fim import FORMATS
from git_copilot.assistant.generation import REPLACEMENT, Sampling
from git_copilot.assistant.pieces import PieceTokenizer
from git_copilot.assistant.prompt import Budget, build_prompt
from git_copilot.assistant.remote import Remote, family_format, load_adapter, open_remote
from git_copilot.assistant.request import Request, find_place
from git_copilot.assistant.session import Session
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.git import GitRepository

KEY = "GIT_COPILOT_TEST_KEY"


class Replay:
    """A server that gives prepared answers, one a connection, and keeps what it was asked."""

    def __init__(self, answers):
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = []
        self.hung_up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n")).decode()
                size = int(next(x for x in head.split("\r\n") if "Content-Length" in x).split()[1])
                self.asked.append((head, json.loads(stream.read(size))))
                with suppress(OSError):
                    for part in answer if isinstance(answer, list) else [answer]:
                        if part is WAIT:  # until the client hangs up
                            stream.read(1)
                            self.hung_up.set()
                        else:
                            stream.write(part)
                            stream.flush()

    def close(self):
        self._socket.close()


WAIT = object()


@contextmanager
def replay(*answers):
    server = Replay(answers)
    try:
        yield server
    finally:
        server.close()


def answer(body, status="200 OK", kind="application/json"):
    data = body.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + data


def chunk(text, finish=None, **more):
    """A part of a streamed completion."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    event = {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice], **more}
    return f"data: {json.dumps(event)}\n\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"


def events(*parts):
    return HEAD + "".join(parts).encode()


def remote(server, timeout=10.0, family="qwen2.5-coder"):
    tokenizer = PieceTokenizer(family_format(family, ""))
    return Remote(Endpoint(server.url, "", timeout), "m", tokenizer, send_ids=False)


def ask(engine, text="a = ", **more):
    return engine.generate(engine.tokenizer.encode(text), Sampling(max_tokens=8), **more)


def test_a_stream_becomes_a_generation():
    usage = {"completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    stream = events(
        ": keep-alive\n\n", chunk("b"), chunk(" + é"), chunk("", "stop"),
        "data: " + json.dumps({"choices": [], "usage": usage}) + "\n\n", "data: [DONE]\n\n",
    )  # fmt: skip
    with replay(stream) as server:
        seen = []
        made = ask(remote(server), on_text=seen.append)
        head, body = server.asked[0]
    assert (made.text, made.finish, made.tokens, made.cached_tokens) == ("b + é", "stop", 3, 2)
    assert seen == ["b", "b + é"]
    assert head.startswith("POST /v1/completions ") and "Authorization" not in head
    assert body["prompt"] == "a = " and body["stream"] and body["temperature"] == 0.0
    assert len(body["stop"]) <= 4 and "seed" not in body


def test_llama_servers_stream_without_a_done_mark_and_answers_without_a_stream():
    with replay(events(chunk("x"), chunk("", "length"))) as server:
        made = ask(remote(server))
    assert (made.text, made.finish) == ("x", "length")
    whole = {"choices": [{"text": "y", "finish_reason": "stop"}]}
    with replay(answer(json.dumps(whole))) as server:
        assert ask(remote(server)).text == "y"


def test_enough_hangs_up():
    with replay([events(chunk("one\n"), chunk("two\n")), WAIT]) as server:
        made = ask(remote(server), enough=lambda text: "\n" in text)
        assert server.hung_up.wait(10)
    assert (made.text, made.finish) == ("one\n", "trimmed")


def test_cancelling_ends_with_what_there_is():
    with replay([events(chunk("one")), WAIT]) as server:
        made = ask(remote(server), cancelled=lambda: True)
    assert (made.text, made.finish) == ("one", "length")


def test_control_tokens_that_a_server_shows_end_the_text():
    with replay(events(chunk("b<|file_"), chunk("sep|>c"), "data: [DONE]\n\n")) as server:
        made = ask(remote(server))
    assert (made.text, made.finish) == ("b", "stop")


def test_the_lead_is_put_back():
    with replay(events(chunk("x", "stop"))) as server:
        ask(remote(server), "fo", lead="o ")
    assert server.asked[0][1]["prompt"] == "foo "


def test_sampling_has_a_seed():
    with replay(events(chunk("x", "stop"))) as server:
        engine = remote(server)
        engine.generate(engine.tokenizer.encode("a"), Sampling(temperature=0.5, seed=7))
    body = server.asked[0][1]
    assert (body["temperature"], body["seed"], body["top_p"]) == (0.5, 7, 0.95)


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (answer('{"error": {"message": "bad key"}}', "401 Unauthorized"), ("401: bad key", "copilot.endpointKey")),
        (answer('{"object": "error", "message": "The model `m` does not exist."}', "404 Not Found"), ("does not exist", "copilot.endpointModel")),
        (answer('{"message": "maximum context length is 2048 tokens"}', "400 Bad Request"), ("2048", "copilot.promptTokens")),
        (answer("", "413 Payload Too Large"), ("413", "copilot.promptTokens")),
        (answer('{"detail": "prompt must be a string."}', "400 Bad Request"), ("must be a string", "endpointPrompt text")),
        (answer("slow down", "429 Too Many Requests"), ("429: slow down", "later")),
        (answer("", "302 Found\r\nLocation: https://elsewhere/"), ("302", "https://elsewhere/")),
        (answer("<html>hello</html>"), ("no JSON object", "copilot.endpoint")),
        (events("data: {oops\n\n"), ("no JSON object",)),
        (events('data: {"error": {"message": "out of memory"}}\n\n'), ("out of memory",)),
        (events('data: {"choices": [{"delta": 1, "text": 5}]}\n\n'), ("without text",)),
        (events(chunk("half")), ("broke off",)),
        (answer('{"choices": [], "usage": {"prompt_tokens": 3}}'), ("without any choice", "copilot.endpoint")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(answered, words):
    with replay(answered) as server, pytest.raises(EndpointError) as caught:
        ask(remote(server))
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words)
    assert server.url in text


def test_what_failed_on_the_way_is_asked_again(monkeypatch):
    monkeypatch.setattr(endpoint, "RETRY_SECONDS", (0.0, 0.0))
    good = events(chunk("x", "stop"))
    with replay(b"", answer("starting", "503 Service Unavailable"), good) as server:
        assert ask(remote(server)).text == "x"
    assert len(server.asked) == 3
    broken = [answer("down", "500 Oops")] * 3
    with replay(*broken) as server, pytest.raises(EndpointError, match="500: down"):
        ask(remote(server))
    assert len(server.asked) == 3
    with replay(answer("no", "400 Bad Request"), good) as server, pytest.raises(EndpointError):
        ask(remote(server))
    assert len(server.asked) == 1


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr(endpoint, "RETRY_SECONDS", (0.0,))
    with replay() as server:
        pass
    with pytest.raises(EndpointError, match=r"cannot be reached.*unset `copilot\.endpoint`"):
        ask(remote(server))


def test_a_server_that_does_not_answer():
    with replay([WAIT]) as server, pytest.raises(EndpointError, match=r"longer than 0\.2 s"):
        ask(remote(server, timeout=0.2))
    with replay([events(chunk("one")), WAIT]) as server:
        engine = remote(server)
        limited = Sampling(time_limit_ms=300)
        made = engine.generate(engine.tokenizer.encode("a"), limited)
    assert (made.text, made.finish) == ("one", "length")


def test_no_trust_without_a_certificate():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_the_clear():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer_in_the_clear)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        engine = Remote(Endpoint(url, "", 5), "m", PieceTokenizer(None), send_ids=False)
        with pytest.raises(EndpointError, match="no trusted connection"):
            ask(engine)
        thread.join(10)


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch):
    monkeypatch.setenv(KEY, "s3cr3t-value")
    with replay(answer('{"error": "wrong"}', "403 Forbidden")) as server:
        engine = Remote(Endpoint(server.url, KEY, 5), "m", PieceTokenizer(None), send_ids=False)
        with pytest.raises(EndpointError) as caught:
            ask(engine)
    assert "Authorization: Bearer s3cr3t-value" in server.asked[0][0]
    assert KEY in str(caught.value) and "s3cr3t" not in str(caught.value)
    monkeypatch.delenv(KEY)
    with pytest.raises(EndpointError, match=f"no {KEY}"):
        Endpoint("http://localhost", KEY, 5)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://u:p@host"])
def test_addresses_that_make_no_sense(url):
    with pytest.raises(EndpointError) as caught:
        Endpoint(url, "", 5)
    assert "copilot.endpoint" in str(caught.value)


def test_a_committed_file_cannot_send_code_elsewhere(repo):
    repo.commit({".gitcopilot": "[copilot]\n\tendpoint = http://evil\n\tmaxTokens = 7\n"})
    settings = load_settings(GitRepository.discover(repo.path))
    assert (settings.endpoint, settings.max_tokens) == ("", 7)


def test_vllm_loads_an_adapter_once(tmp_path):
    loaded = answer("Success: LoRA adapter 'a1' added successfully.", kind="text/plain")
    already = answer(
        '{"message": "The lora adapter \'a1\' has already been loaded."}', "400 Bad Request"
    )
    missing = answer('{"detail": "Not Found"}', "404 Not Found")
    with replay(loaded, already, missing) as server:
        settings = Settings(
            endpoint=server.url, endpoint_adapters="load", endpoint_prompt="text", fim="starcoder2"
        )
        made = open_remote(settings, "base", tmp_path / "a1")
        load_adapter(Endpoint(server.url, "", 5), tmp_path / "a1")
        with pytest.raises(EndpointError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
            load_adapter(Endpoint(server.url, "", 5), tmp_path / "a1")
    head, body = server.asked[0]
    assert head.startswith("POST /v1/load_lora_adapter ")
    assert body == {"lora_name": "a1", "lora_path": str(tmp_path / "a1")}
    with replay(events(chunk("x", "stop"))) as server:
        made._endpoint = Endpoint(server.url, "", 5)
        ask(made)
    assert server.asked[0][1]["model"] == "a1"


def test_an_unknown_family_is_asked_for():
    assert family_format("auto", "Qwen/Qwen2.5-Coder-7B").family == "qwen2.5-coder"
    assert family_format("auto", "bigcode/tiny_starcoder_py").family == "starcoder"
    assert family_format("none", "whatever") is None
    with pytest.raises(EndpointError, match=r"copilot\.fim"):
        family_format("auto", "gpt-x")
    with pytest.raises(EndpointError, match="tokenizer of gpt-x"):
        open_remote(Settings(endpoint="http://h", endpoint_prompt="tokens"), "gpt-x", None)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.family)
def test_text_is_rendered_with_the_familys_tokens_alone(form):
    tokenizer = PieceTokenizer(form)
    user = f"# {form.prefix} {form.ends[0]}\nx = "
    prompt = build_prompt(
        tokenizer, path="m.py", language="python", prefix=user, suffix="\ny = 1\n", snippets=(),
        budget=Budget(500, 100, 100), repository="r",
    )  # fmt: skip
    text = tokenizer.spell(list(prompt.ids))
    for name in (form.prefix, form.suffix, form.middle):
        if name:
            assert text.count(name.replace("▁<", "<")) == 1
    assert "\ny = 1\n" in text and "\nx = " in text
    assert tokenizer.decode(tokenizer.encode("  a\tb\n\n\u263a é")) == "  a\tb\n\n\u263a é"


def test_codellamas_text_is_what_its_authors_write():
    tokenizer = PieceTokenizer(family_format("codellama", ""))
    prompt = build_prompt(
        tokenizer, path="m.py", language="python", prefix="x = ", suffix="\ny\n", snippets=(),
        budget=Budget(500, 100, 100),
    )  # fmt: skip
    assert tokenizer.spell(list(prompt.ids)) == "<PRE> # m.py\nx =  <SUF>\ny\n <MID>"


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    """transformers' own server, in a process of its own, on a tiny model."""
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package)
    folder = save_tiny(tmp_path_factory.mktemp("served") / "tiny-starcoder", fim=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve",
         str(folder), "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url, process):
    pause = threading.Event()
    for _ in range(600):
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        assert process.poll() is None, "the server ended"
        pause.wait(0.2)
    raise AssertionError("the server did not start")


def test_a_real_server_writes_what_the_engine_here_writes(real_server):
    import torch

    from git_copilot.assistant.engine import Engine
    from git_copilot.assistant.loading import load_model
    from git_copilot.assistant.tokens import TextTokenizer

    url, folder = real_server
    settings = Settings(endpoint=url, endpoint_prompt="text", fim="starcoder")
    engine = open_remote(settings, str(folder), None)
    here = Engine(load_model(folder, dtype=torch.float32), TextTokenizer.load(folder))

    def prompt(tokenizer):
        return build_prompt(
            tokenizer, path="m.py", language="python", prefix="def area(w):\n    return w",
            suffix="\n\nprint(1)\n", snippets=(), budget=Budget(500, 100, 100), repository="r",
        )  # fmt: skip

    ours = here.generate(prompt(here.tokenizer).ids, Sampling(max_tokens=12))
    theirs = engine.generate(prompt(engine.tokenizer).ids, Sampling(max_tokens=12))
    # A random model's last bytes are half a character, which the two show or leave out.
    assert theirs.text.rstrip(REPLACEMENT) == ours.text.rstrip(REPLACEMENT)
    assert theirs.text.rstrip(REPLACEMENT) and theirs.tokens == ours.tokens == 12
    early = engine.generate(
        prompt(engine.tokenizer).ids, Sampling(max_tokens=64), enough=lambda text: len(text) > 3
    )
    assert early.finish == "trimmed"


def test_a_real_servers_refusals_are_understood(real_server):
    url, folder = real_server
    ids = open_remote(Settings(endpoint=url, endpoint_prompt="tokens"), str(folder), None)
    with pytest.raises(EndpointError, match="endpointPrompt text"):
        ids.generate([1, 2, 3], Sampling(max_tokens=2))
    with pytest.raises(EndpointError, match="404"):
        Endpoint(f"{url}/nothing", "", 10).post("/completions", {"prompt": "a"})


@pytest.fixture
def served(repo):
    """A repository that git-copilot knows, with a cursor in a.py."""
    repo.commit({"a.py": "def area(w):\r\n    return w\r\n"})
    state = repo.git_dir / "copilot"
    state.mkdir()
    Database(state / DATABASE_NAME, create=True).close()
    repo.git("config", "copilot.model", "qwen2.5-coder-7b")  # whose weights are not here
    repo.git("config", "copilot.feedback", "false")
    return repo


def complete_at(repo, location, **more):
    session = Session()
    try:
        request = Request(location, repo.path, retrieval=False, **more)
        return complete(request, find_place(request), session, note=lambda text: None)
    finally:
        session.close()


def test_a_repository_can_be_completed_by_a_server(served):
    stream = events(chunk(" * 2\n"), chunk("    # end"), chunk("", "stop"))
    with replay(stream, stream) as server:
        served.git("config", "copilot.endpoint", server.url)
        served.git("config", "copilot.endpointModel", "Qwen/Qwen2.5-Coder-7B")
        answer = complete_at(served, "a.py:1")
        assert len(complete_at(served, "a.py:1").fields["snippets"]) == 0
    _, body = server.asked[0]
    assert answer.completion == " * 2\r\n    # end"
    assert answer.fields["finish_reason"] == "stop" and answer.fields["model"] == "qwen2.5-coder-7b"
    assert body["model"] == "Qwen/Qwen2.5-Coder-7B"
    name = served.path.name
    assert body["prompt"] == (
        f"<|repo_name|>{name}\n<|file_sep|>a.py\n<|fim_prefix|>def area(w):"
        "<|fim_suffix|>\n    return w\n<|fim_middle|>"
    )


def test_there_is_no_falling_back_in_silence(served, monkeypatch):
    monkeypatch.setattr(endpoint, "RETRY_SECONDS", ())
    with replay() as server:
        served.git("config", "copilot.endpoint", server.url)
    with pytest.raises(EndpointError, match="cannot be reached"):
        complete_at(served, "a.py:2")
