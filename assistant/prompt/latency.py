"""Shrinks a prompt's budget so that it is read in time. Pure."""

from __future__ import annotations

from git_copilot.assistant.prompt.builder import Budget

# Less context than this is useless, however slow the machine is.
MIN_TOKENS = 192
# Budgets are multiples of this, so that they do not follow every fluctuation of the measurements.
STEP = 64


def fit_budget(budget: Budget, rate: float | None, latency_ms: int) -> Budget:
    """Shrink a budget to what can be read within ``latency_ms`` without a cache.

    The shares of snippets and suffix shrink with the whole.

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
    return Budget(
        whole, budget.context * whole // budget.prompt, budget.suffix * whole // budget.prompt
    )
