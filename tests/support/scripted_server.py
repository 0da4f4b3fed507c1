"""`git copilot serve` in a process of its own, whose model writes what a file says.

What the server does beside the model is real: its command line, sockets, places, prompts and trimming.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.commands import BIN, ROOT, Copilot

_CODE = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from tests.support.scripted_server import serve; sys.exit(serve(sys.argv[1:]))"
)


def serve(argv: list[str]) -> int:
    """Run in the process: ``argv`` is the folder of the script, and the options of ``serve``."""
    from git_copilot.assistant.cli.main import run
    from git_copilot.assistant.completion.session import Session
    from git_copilot.assistant.decoding.generation import Generation
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer
    from tests.support.scripted_engine import ScriptedEngine

    folder, *options = argv
    script, prompts = Path(folder, "script.json"), Path(folder, "prompts.jsonl")
    tokenizers: dict[Path, TextTokenizer] = {}

    class PausingEngine(ScriptedEngine):
        """Keeps the prompts that it gets, and waits at each line end where the script says so."""

        def __init__(self, tokenizer: TextTokenizer, text: str, pause: float) -> None:
            super().__init__(tokenizer, text)
            self._pause = pause

        def generate(self, request):
            with prompts.open("a") as out:
                out.write(json.dumps(self.tokenizer.decode(list(request.prompt))) + "\n")
            text, lines = "", 0
            for count in range(1, len(self._ids) + 1):
                text = self.tokenizer.decode(self._ids[:count])
                request.on_text(text)
                if request.is_cancelled() or request.should_stop(text):
                    return Generation(text, "trimmed", count, 0, 0.0, 0.0)
                if text.count("\n") > lines:  # a token may hold a line end and what follows
                    lines = text.count("\n")
                    time.sleep(self._pause)
            return Generation(text, "stop", len(self._ids), 0, 0.0, 0.0)

    def engine(session, model, adapter, settings):
        path = resolve_model(model)
        tokenizer = tokenizers.setdefault(path, TextTokenizer.load(path))
        said = json.loads(script.read_text())
        return PausingEngine(tokenizer, said["text"], said["pause"])

    Session.engine = engine  # type: ignore[method-assign]
    return run(["serve", "--foreground", *options])


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class ServedRepository:
    """A repository that is set up, and a server process that was started in it."""

    def __init__(self, path: Path, folder: Path, runtime: Path, *, scripted: bool = True) -> None:
        """:param folder: for the script and the token.
        :param runtime: for the socket, with a short name.
        :param scripted: else the configured model answers."""
        self.path, self.folder, self.scripted = path, folder, scripted
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token_file = folder / "token"
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(runtime),
            "OMP_NUM_THREADS": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = ["--http", f"127.0.0.1:{self.port}", "--token-file", str(self.token_file)]
        if self.scripted:
            self.write("pass")
            command = [sys.executable, "-P", "-c", _CODE, str(ROOT), str(self.folder)]
        else:
            command = ["git", "copilot", "serve", "--foreground"]
        log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*command, *options], cwd=self.path, env=self.environment, stdout=log, stderr=log
        )
        log.close()
        for _ in range(300):
            try:
                assert httpx.get(f"{self.url}/health").json() == {"status": "ok"}
                return
            except httpx.TransportError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    def write(self, text: str, pause: float = 0.0) -> None:
        """Let the model write ``text`` from now on, and wait ``pause`` seconds after each line."""
        (self.folder / "script.json").write_text(json.dumps({"text": text, "pause": pause}))
        (self.folder / "prompts.jsonl").write_text("")

    @property
    def prompts(self) -> list[str]:
        """What the model was given since :meth:`write`."""
        lines = (self.folder / "prompts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def commands(self) -> Copilot:
        return Copilot(self.path)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
