"""How much a prompt may hold so that it is read in time. Pure."""

from __future__ import annotations

from git_copilot.assistant.prompt.builder import Budget

# Less context than this is of no use, however slow the machine is.
LEAST = 192
# Budgets are multiples of this, so that they stand still while measurements wander.
STEP = 64


def fit_budget(budget: Budget, rate: float | None, latency_ms: int) -> Budget:
    """Shrink a budget to what is read within ``latency_ms`` when nothing of it is cached.

    The shares of snippets and suffix shrink with the whole.

    :param rate: tokens a second, as :attr:`Generator.prefill_rate` says; ``None``: unknown, and
        the budget stays.
    :param latency_ms: 0 sets no bound.
    """
    if rate is None or latency_ms <= 0:
        return budget
    affordable = int(rate * latency_ms / 1000) // STEP * STEP
    whole = min(budget.prompt, max(affordable, LEAST))
    if whole == budget.prompt:
        return budget
    return Budget(
        whole, budget.context * whole // budget.prompt, budget.suffix * whole // budget.prompt
    )
