"""Counts what the HTTP server does, for Prometheus. Names and paths of files are never labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from git_copilot.assistant.api.answers import CompleteAnswer
from git_copilot.assistant.backend.allocator import resident_bytes
from git_copilot.assistant.service.request_queue import RequestQueue

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
PREFIX = "git_copilot"
# What became of a request.
ANSWERED, EMPTY, CANCELLED, SUPERSEDED, REFUSED, FAILED = (
    "answered", "empty", "cancelled", "superseded", "refused", "failed",
)  # fmt: skip


class Metrics:
    """The metrics of one server. Thread-safe."""

    def __init__(self, queue: RequestQueue) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}_requests", "Requests, by protocol and what became of them",
            ("protocol", "outcome"), registry=self._registry,
        )  # fmt: skip
        self._tokens = Counter(
            f"{PREFIX}_tokens", "Tokens: read, taken from the cache, written",
            ("kind",), registry=self._registry,
        )  # fmt: skip
        self._cache = Counter(
            f"{PREFIX}_cache_hits", "Answers that were known already", registry=self._registry
        )
        self._first = Histogram(
            f"{PREFIX}_time_to_first_token_seconds", "From the request's turn to the first token",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._total = Histogram(
            f"{PREFIX}_answer_seconds", "From the request's turn to the whole answer",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._rate = Histogram(
            f"{PREFIX}_decoded_tokens_per_second", "Written tokens per second of decoding",
            buckets=_RATES, registry=self._registry,
        )  # fmt: skip
        self._gauge("resident_bytes", "Resident memory").set_function(resident_bytes)
        self._gauge("waiting_requests", "Requests that wait or run").set_function(
            lambda: queue.waiting
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, registry=self._registry)

    def count(self, protocol: str, outcome: str) -> None:
        self._requests.labels(protocol, outcome).inc()

    def answered(self, protocol: str, answer: CompleteAnswer) -> None:
        """Count an answer and what it cost."""
        self.count(protocol, ANSWERED if answer.completion.strip() else EMPTY)
        times = answer.timings
        if answer.from_cache:
            self._cache.inc()
            self._total.observe(times.total / 1000)
            return
        self._tokens.labels("cached").inc(answer.cached_tokens)
        self._tokens.labels("read").inc(max(0, answer.prompt_tokens - answer.cached_tokens))
        self._tokens.labels("written").inc(answer.completion_tokens)
        self._first.observe((times.retrieve + times.prefill) / 1000)
        self._total.observe(times.total / 1000)
        if answer.completion_tokens and times.decode:
            self._rate.observe(answer.completion_tokens / times.decode * 1000)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
