"""Shrinks a prompt's budget so that it is read in time. Pure."""

from __future__ import annotations

from git_copilot.assistant.prompt.builder import Budget

# Less context than this is useless, however slow the machine is.
MIN_TOKENS = 192
# Budgets are multiples of this, so that they do not follow every fluctuation of the measurements.
STEP = 64
# In a short prompt the lines before the cursor say more than a snippet and the text behind it: on 100
# typed holes of datasette and click, prompts of 320 tokens, a middle took 22.6 nats with the shares of
# a whole prompt, 22.1 with five eighths of them, 22.4 without snippets. Neither the beginning of a
# snippet that does not fit (23.2) nor the headers of the enclosing definitions (22.9) helped.
LITTLE, LITTLE_SHARE = 448, 5 / 8


def fit_budget(budget: Budget, rate: float | None, latency_ms: int) -> Budget:
    """Shrink a budget to what can be read within ``latency_ms`` without a cache.

    The shares of snippets and suffix shrink with the whole, and faster where little is left.

    :param rate: tokens per second, see :attr:`Generator.prefill_rate`; ``None`` (unknown) leaves the
        budget as it is.
    :param latency_ms: 0: no limit.
    """
    if rate is None or latency_ms <= 0:
        return budget
    affordable = int(rate * latency_ms / 1000) // STEP * STEP
    whole = min(budget.prompt, max(affordable, MIN_TOKENS))
    if whole == budget.prompt:
        return budget
    share = LITTLE_SHARE if whole < LITTLE else 1.0
    context, suffix = (
        part * share * whole / budget.prompt for part in (budget.context, budget.suffix)
    )
    return Budget(whole, int(context), int(suffix))
