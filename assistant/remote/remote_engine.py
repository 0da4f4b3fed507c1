"""An engine on a server that speaks OpenAI's ``/v1/completions``: vLLM, SGLang, llama-server and
others. The prompt is rendered here, by the one prompt builder, and never by the server.

Token ids are sent if the model's tokenizer is on this machine, so that control tokens are certain.
Otherwise text is sent, with the control tokens of the model's family written out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.decoding.generation import (
    REPLACEMENT,
    Generation,
    GenerationRequest,
    Sampling,
)
from git_copilot.assistant.models.catalogue import is_ready, model_folder
from git_copilot.assistant.prompt.approximate_tokenizer import ApproximateTokenizer
from git_copilot.assistant.prompt.builder import Tokenizer
from git_copilot.assistant.prompt.fim import FORMATS, FimFormat
from git_copilot.assistant.remote.http_client import Endpoint, EndpointError

# OpenAI's limit on stop strings.
MAX_STOPS = 4
WANTED = "copilot.endpoint must name a server with /v1/completions"
# Parts of model names and their families; the first that fits counts.
NAMES = (
    ("copilot-135m", "git-copilot"), ("qwen2.5-coder", "qwen2.5-coder"),
    ("qwen3-coder", "qwen2.5-coder"), ("starcoder2", "starcoder2"), ("starcoder", "starcoder"),
    ("santacoder", "santacoder"), ("deepseek-coder", "deepseek-coder"),
    ("codellama", "codellama"), ("code-llama", "codellama"), ("codegemma", "codegemma"),
    ("codestral", "codestral"), ("mellum", "mellum"), ("granite-4", "granite-4"),
    ("granite", "granite"), ("seed-coder", "seed-coder"), ("stable-code", "stable-code"),
)  # fmt: skip


@dataclass
class _Progress:
    """The answer so far."""

    text: str = ""
    finish: str = "length"
    first: float = 0.0
    usage: dict[str, Any] = field(default_factory=dict)


class Remote:
    """A model on a server, as a :class:`~git_copilot.assistant.decoding.generation.Generator`."""

    def __init__(
        self, endpoint: Endpoint, model: str, tokenizer: Tokenizer, *, send_ids: bool
    ) -> None:
        """:param model: its name, or an adapter's, on the server."""
        self._endpoint = endpoint
        self._model = model
        self._tokenizer = tokenizer
        self._send_ids = send_ids
        fim = tokenizer.fim
        self._stops = (*fim.ends, *fim.controls) if fim else ("<|endoftext|>", "</s>")

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    @property
    def confidence(self) -> None:
        """Unknown: a server does not say how likely its tokens are."""

    @property
    def prefill_rate(self) -> float | None:
        """Unknown: a server does not say what it has cached."""
        return None

    def unread(self, prompt: Sequence[int]) -> int:
        """All of them, for all that is known."""
        return len(prompt)

    def read_ahead(self, prompt: Sequence[int], is_cancelled: Callable[[], bool]) -> bool:
        """Nothing: a server has others to serve."""
        return True

    def generate(self, request: GenerationRequest) -> Generation:
        """See :meth:`~git_copilot.assistant.decoding.generation.Generator.generate`.

        A server cannot be made to begin with a forced prefix: it is put back at the prompt's end.
        Nothing is copied or drafted. ``is_cancelled`` is called between the parts that the server
        sends.

        :raises EndpointError: the server cannot be reached or refuses.
        """
        begun, sampling = time.perf_counter(), request.sampling
        ids = [*request.prompt, *self._tokenizer.encode(request.forced_prefix)]
        got = _Progress()
        events = self._endpoint.stream(
            "/completions",
            self._body(ids, sampling),
            seconds=sampling.time_limit_ms / 1000,
            cancelled=request.is_cancelled,
        )
        try:
            with closing(events):
                self._follow(events, got, request)
        except TimeoutError:
            got.finish = "length"
        ended = time.perf_counter()
        first = got.first or ended
        details = got.usage.get("prompt_tokens_details") or {}
        return Generation(
            text=got.text.removesuffix(REPLACEMENT),
            finish=got.finish,
            tokens=int(got.usage.get("completion_tokens") or len(self._tokenizer.encode(got.text))),
            cached_tokens=int(details.get("cached_tokens") or 0),
            prefill_ms=(first - begun) * 1000,
            decode_ms=(ended - first) * 1000,
        )

    def _body(self, ids: Sequence[int], sampling: Sampling) -> dict[str, Any]:
        prompt = list(ids) if self._send_ids else self._tokenizer.spell(list(ids))
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": prompt,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stop": list(self._stops[:MAX_STOPS]),
        }
        if sampling.temperature > 0:
            body |= {"top_p": sampling.top_p, "seed": sampling.seed}
        return body

    def _follow(
        self,
        events: Iterator[dict[str, Any]],
        got: _Progress,
        request: GenerationRequest,
    ) -> None:
        """Read the stream until it ends or is no longer wanted."""
        for event in events:
            got.usage = event.get("usage") or got.usage
            choices = event.get("choices")
            if not choices:
                continue  # only the usage
            choice = choices[0] if isinstance(choices, list) else None
            text = choice.get("text") if isinstance(choice, dict) else None
            if choice is None or not isinstance(text or "", str):
                raise EndpointError(f"{self._endpoint.url} sent a part without text", WANTED)
            got.first = got.first or time.perf_counter()
            if text:
                got.text += text
                cut = min((got.text.find(s) for s in self._stops if s in got.text), default=-1)
                if cut >= 0:  # the server shows control tokens as text
                    got.text, got.finish = got.text[:cut], "stop"
                    return
                request.on_text(got.text)
                if request.should_stop(got.text):
                    got.finish = "trimmed"
                    return
            if choice.get("finish_reason"):
                got.finish = "stop" if choice["finish_reason"] == "stop" else "length"
            if request.is_cancelled():
                return
        if not got.first and not request.is_cancelled():
            raise EndpointError(f"{self._endpoint.url} answered without any choice", WANTED)


def open_remote(settings: Settings, model: str, adapter: Path | None) -> Remote:
    """The server that ``copilot.endpoint`` names.

    :param model: the name here, whose tokenizer renders the prompt if it is here.
    :param adapter: the folder of the adapter to use; its name is the adapter's on the server.
    :raises EndpointError: the settings are invalid, or the server does not load the adapter.
    :raises ModelError: the tokenizer cannot be read.
    """
    endpoint = Endpoint(settings.endpoint, settings.endpoint_key, settings.endpoint_timeout)
    name = settings.endpoint_model or model
    here = is_ready(model)
    send_ids = settings.endpoint_prompt == "tokens" or (settings.endpoint_prompt == "auto" and here)
    if send_ids and not here:
        raise EndpointError(
            f"token ids need the tokenizer of {model}, which is not here",
            "name its folder in copilot.model, or `git config copilot.endpointPrompt text`",
        )
    if adapter is not None:
        if settings.endpoint_adapters == "load":
            load_adapter(endpoint, adapter)
        name = adapter.name
    return Remote(endpoint, name, _tokenizer(settings, model, send_ids), send_ids=send_ids)


def _tokenizer(settings: Settings, model: str, send_ids: bool) -> Tokenizer:
    if not send_ids:
        return ApproximateTokenizer(family_format(settings.fim, settings.endpoint_model or model))
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer

    return TextTokenizer.load(model_folder(model), model, settings.fim)


def family_format(family: str, model: str) -> FimFormat | None:
    """The format of a family, or for ``"auto"`` of the family that a model's name belongs to.

    :raises EndpointError: the name belongs to none.
    """
    if family == "none":
        return None
    if family == "auto":
        family = next((found for part, found in NAMES if part in model.lower()), "")
    form = next((f for f in FORMATS if f.family == family), None)
    if form is None:
        raise EndpointError(
            f"the fill-in-the-middle format of {model} is not known",
            "set it with `git config copilot.fim FAMILY` (`none`: left to right)",
        )
    return form


def load_adapter(endpoint: Endpoint, adapter: Path) -> None:
    """Let vLLM load a LoRA adapter (its ``/v1/load_lora_adapter``). Idempotent.

    :raises EndpointError: the server does not load it, or cannot read the folder.
    """
    body = {"lora_name": adapter.name, "lora_path": str(adapter.resolve())}
    try:
        endpoint.post("/load_lora_adapter", body)
    except EndpointError as exc:
        if "already" in exc.message:
            return
        raise EndpointError(
            exc.message,
            "vLLM loads adapters with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, "
            "from a folder that it can read",
        ) from exc
