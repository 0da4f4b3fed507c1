"""An OpenAI-compatible server as the engine: one that replays answers written here, in the shapes
that OpenAI, vLLM, llama-server and FastAPI document."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.prompt.approximate_tokenizer import ApproximateTokenizer
from git_copilot.assistant.remote import http_client
from git_copilot.assistant.remote.http_client import Endpoint, EndpointError
from git_copilot.assistant.remote.remote_engine import (
    Remote,
    family_format,
    load_adapter,
    open_remote,
)
from tests.support.replay_server import WAIT, answer, chunk, events, replay

KEY = "GIT_COPILOT_TEST_KEY"


def remote(server, timeout=10.0, family="qwen2.5-coder"):
    tokenizer = ApproximateTokenizer(family_format(family, ""))
    return Remote(Endpoint(server.url, "", timeout), "m", tokenizer, send_ids=False)


def ask(engine, text="a = ", **more):
    return engine.generate(
        GenerationRequest(engine.tokenizer.encode(text), Sampling(max_tokens=8), **more)
    )


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


def test_streams_without_done_and_unstreamed_answers_are_accepted():
    with replay(events(chunk("x"), chunk("", "length"))) as server:
        made = ask(remote(server))
    assert (made.text, made.finish) == ("x", "length")
    whole = {"choices": [{"text": "y", "finish_reason": "stop"}]}
    with replay(answer(json.dumps(whole))) as server:
        assert ask(remote(server)).text == "y"


def test_the_stop_condition_closes_the_connection():
    with replay([events(chunk("one\n"), chunk("two\n")), WAIT]) as server:
        made = ask(remote(server), should_stop=lambda text: "\n" in text)
        assert server.hung_up.wait(10)
    assert (made.text, made.finish) == ("one\n", "trimmed")


def test_cancellation_returns_the_text_so_far():
    with replay([events(chunk("one")), WAIT]) as server:
        made = ask(remote(server), is_cancelled=lambda: True)
    assert (made.text, made.finish) == ("one", "length")


def test_a_control_token_in_the_answer_ends_the_text():
    with replay(events(chunk("b<|file_"), chunk("sep|>c"), "data: [DONE]\n\n")) as server:
        made = ask(remote(server))
    assert (made.text, made.finish) == ("b", "stop")


def test_the_forced_prefix_is_restored():
    with replay(events(chunk("x", "stop"))) as server:
        ask(remote(server), "fo", forced_prefix="o ")
    assert server.asked[0][1]["prompt"] == "foo "


def test_sampling_requests_carry_a_seed():
    with replay(events(chunk("x", "stop"))) as server:
        engine = remote(server)
        engine.generate(
            GenerationRequest(engine.tokenizer.encode("a"), Sampling(temperature=0.5, seed=7))
        )
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
def test_every_failure_is_a_one_line_error(answered, words):
    with replay(answered) as server, pytest.raises(EndpointError) as caught:
        ask(remote(server))
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words)
    assert server.url in text


def test_transient_failures_are_retried_and_client_errors_are_not(monkeypatch):
    monkeypatch.setattr(http_client, "RETRY_SECONDS", (0.0, 0.0))
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


def test_an_unreachable_server_is_an_error_with_a_remedy(monkeypatch):
    monkeypatch.setattr(http_client, "RETRY_SECONDS", (0.0,))
    with replay() as server:
        pass
    with pytest.raises(EndpointError, match=r"cannot be reached.*unset `copilot\.endpoint`"):
        ask(remote(server))


def test_a_server_that_does_not_answer_times_out():
    with replay([WAIT]) as server, pytest.raises(EndpointError, match=r"longer than 0\.2 s"):
        ask(remote(server, timeout=0.2))
    with replay([events(chunk("one")), WAIT]) as server:
        engine = remote(server)
        limited = Sampling(time_limit_ms=300)
        made = engine.generate(GenerationRequest(engine.tokenizer.encode("a"), limited))
    assert (made.text, made.finish) == ("one", "length")
    begun = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"
    with replay([begun, WAIT]) as server:
        engine = remote(server)
        made = engine.generate(GenerationRequest(engine.tokenizer.encode("a"), limited))
        assert server.hung_up.wait(10)
    assert (made.text, made.finish) == ("", "length")


def test_an_untrusted_certificate_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_in_the_clear():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer_in_the_clear)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        engine = Remote(Endpoint(url, "", 5), "m", ApproximateTokenizer(None), send_ids=False)
        with pytest.raises(EndpointError, match="no trusted connection"):
            ask(engine)
        thread.join(10)


def test_the_api_key_comes_from_the_environment_and_is_never_shown(monkeypatch):
    monkeypatch.setenv(KEY, "s3cr3t-value")
    with replay(answer('{"error": "wrong"}', "403 Forbidden")) as server:
        engine = Remote(
            Endpoint(server.url, KEY, 5), "m", ApproximateTokenizer(None), send_ids=False
        )
        with pytest.raises(EndpointError) as caught:
            ask(engine)
    assert "Authorization: Bearer s3cr3t-value" in server.asked[0][0]
    assert KEY in str(caught.value) and "s3cr3t" not in str(caught.value)
    monkeypatch.delenv(KEY)
    with pytest.raises(EndpointError, match=f"no {KEY}"):
        Endpoint("http://localhost", KEY, 5)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://u:p@host"])
def test_invalid_endpoint_addresses_are_refused(url):
    with pytest.raises(EndpointError) as caught:
        Endpoint(url, "", 5)
    assert "copilot.endpoint" in str(caught.value)


def test_an_adapter_is_loaded_into_vllm_once(tmp_path):
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
