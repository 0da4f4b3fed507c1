"""A server's model as the engine: prompted as its family was taught, it writes what the engine here
writes (transformers' own server), and completes a repository."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress

import pytest

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.decoding.generation import REPLACEMENT, GenerationRequest, Sampling
from git_copilot.assistant.prompt.approximate_tokenizer import ApproximateTokenizer
from git_copilot.assistant.prompt.builder import Budget, build_prompt
from git_copilot.assistant.prompt.fim import FORMATS
from git_copilot.assistant.remote import http_client
from git_copilot.assistant.remote.http_client import Endpoint, EndpointError
from git_copilot.assistant.remote.remote_engine import family_format, open_remote
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.replay_server import chunk, events, replay
from tests.support.tiny_models import save_tiny


def test_a_committed_file_cannot_set_the_endpoint(repo):
    repo.commit({".gitcopilot": "[copilot]\n\tendpoint = http://evil\n\tmaxTokens = 7\n"})
    settings = load_settings(GitRepository.discover(repo.path))
    assert (settings.endpoint, settings.max_tokens) == ("", 7)


def test_an_unknown_family_must_be_configured():
    assert family_format("auto", "Qwen/Qwen2.5-Coder-7B").family == "qwen2.5-coder"
    assert family_format("auto", "bigcode/tiny_starcoder_py").family == "starcoder"
    assert family_format("none", "whatever") is None
    with pytest.raises(EndpointError, match=r"copilot\.fim"):
        family_format("auto", "gpt-x")
    with pytest.raises(EndpointError, match="tokenizer of gpt-x"):
        open_remote(Settings(endpoint="http://h", endpoint_prompt="tokens"), "gpt-x", None)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.family)
def test_prompts_use_the_control_tokens_of_the_family_only(form):
    tokenizer = ApproximateTokenizer(form)
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


def test_code_llama_prompts_equal_the_published_format():
    tokenizer = ApproximateTokenizer(family_format("codellama", ""))
    prompt = build_prompt(
        tokenizer, path="m.py", language="python", prefix="x = ", suffix="\ny\n", snippets=(),
        budget=Budget(500, 100, 100),
    )  # fmt: skip
    assert tokenizer.spell(list(prompt.ids)) == "<PRE> # m.py\nx =  <SUF>\ny\n <MID>"


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    """transformers' own server, in its own process, with a tiny model."""
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


@pytest.mark.slow
def test_a_real_server_gives_the_same_text_as_the_local_engine(real_server):
    import torch

    from git_copilot.assistant.backend.loading import load_model
    from git_copilot.assistant.decoding.engine import Engine
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer

    url, folder = real_server
    settings = Settings(endpoint=url, endpoint_prompt="text", fim="starcoder")
    engine = open_remote(settings, str(folder), None)
    here = Engine(load_model(folder, dtype=torch.float32), TextTokenizer.load(folder))

    def prompt(tokenizer):
        return build_prompt(
            tokenizer, path="m.py", language="python", prefix="def area(w):\n    return w",
            suffix="\n\nprint(1)\n", snippets=(), budget=Budget(500, 100, 100), repository="r",
        )  # fmt: skip

    ours = here.generate(GenerationRequest(prompt(here.tokenizer).ids, Sampling(max_tokens=12)))
    theirs = engine.generate(
        GenerationRequest(prompt(engine.tokenizer).ids, Sampling(max_tokens=12))
    )
    # A random model's last bytes are half a character, which the two show or leave out.
    assert theirs.text.rstrip(REPLACEMENT) == ours.text.rstrip(REPLACEMENT)
    assert theirs.text.rstrip(REPLACEMENT) and theirs.tokens == ours.tokens == 12
    early = engine.generate(
        GenerationRequest(
            prompt(engine.tokenizer).ids,
            Sampling(max_tokens=64),
            should_stop=lambda text: len(text) > 3,
        )
    )
    assert early.finish == "trimmed"


@pytest.mark.slow
def test_errors_of_a_real_server_are_translated(real_server):
    url, folder = real_server
    ids = open_remote(Settings(endpoint=url, endpoint_prompt="tokens"), str(folder), None)
    with pytest.raises(EndpointError, match="endpointPrompt text"):
        ids.generate(GenerationRequest([1, 2, 3], Sampling(max_tokens=2)))
    with pytest.raises(EndpointError, match="404"):
        Endpoint(f"{url}/nothing", "", 10).post("/completions", {"prompt": "a"})


@pytest.fixture
def repo_with_server(repo):
    """An initialised repository with a cursor in a.py."""
    repo.commit({"a.py": "def area(w):\r\n    return w\r\n\r\nunfinished = (\r\n"})
    state = repo.git_dir / "copilot"
    trust_repository(state)
    Database(state / DATABASE_NAME, create=True).close()
    repo.git("config", "copilot.model", "qwen2.5-coder-7b")  # whose weights are not here
    repo.git("config", "copilot.feedback", "false")
    return repo


def complete_at(repo, location, **more):
    session = Session()
    try:
        request = CompleteRequest(location, repo.path, retrieval=False, **more)
        return complete(request, find_place(request), session, Callbacks())
    finally:
        session.close()


def test_a_repository_can_be_completed_by_a_server(repo_with_server):
    stream = events(chunk(" * 2\n"), chunk("    # end"), chunk("", "stop"))
    with replay(stream, stream) as server:
        repo_with_server.git("config", "copilot.endpoint", server.url)
        repo_with_server.git("config", "copilot.endpointModel", "Qwen/Qwen2.5-Coder-7B")
        answer = complete_at(repo_with_server, "a.py:1")
        assert complete_at(repo_with_server, "a.py:1").snippets == ()
    _, body = server.asked[0]
    assert answer.completion == " * 2\r\n    # end"
    assert answer.finish_reason == "stop" and answer.model == "qwen2.5-coder-7b"
    assert body["model"] == "Qwen/Qwen2.5-Coder-7B"
    name = repo_with_server.path.name
    assert body["prompt"] == (
        f"<|repo_name|>{name}\n<|file_sep|>a.py\n<|fim_prefix|>def area(w):"
        "<|fim_suffix|>\n    return w\n\nunfinished = (\n<|fim_middle|>"
    )


def test_a_failing_server_is_never_silently_replaced_by_a_local_model(
    repo_with_server, monkeypatch
):
    monkeypatch.setattr(http_client, "RETRY_SECONDS", ())
    with replay() as server:
        repo_with_server.git("config", "copilot.endpoint", server.url)
    with pytest.raises(EndpointError, match="cannot be reached"):
        complete_at(repo_with_server, "a.py:2")
