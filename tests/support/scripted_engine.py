"""An engine that writes a given text instead of a model's."""

from __future__ import annotations

from git_copilot.assistant.decoding.generation import Generation


def replace_engine(session, engine):
    """Let the one engine of ``session`` be ``engine``."""
    (key,) = session._engines
    session._engines[key] = engine


class ScriptedEngine:
    """An engine that writes a given text, token by token, as the real one does."""

    side_by_side = False
    prefill_rate = None
    confidence = None

    def __init__(self, tokenizer, text):
        self.tokenizer, self._ids = tokenizer, tokenizer.encode(text)

    def generate(self, request):
        for count in range(1, len(self._ids) + 1):
            text = self.tokenizer.decode(self._ids[:count])
            request.on_text(text)
            if request.should_stop(text):
                return Generation(text, "trimmed", count, 0, 0.0, 0.0)
        return Generation(text, "stop", len(self._ids), 0, 0.0, 0.0)
