"""An adapter that turns out to be worse than the base model is taken out of use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.refresh import outcome
from tests.support.refresh_fixtures import (  # noqa: F401 - fixtures
    opened_history,
    quick_recipe,
    run,
    tiny_model,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def refused(monkeypatch):
    """No candidate passes the regression check."""
    check = outcome.check_regression
    monkeypatch.setattr(
        outcome, "check_regression", lambda *given: replace(check(*given), passed=False)
    )


def test_the_next_refresh_takes_a_harmful_adapter_out_of_use(opened_repo, tiny, request):
    _, found, db = opened_repo
    first = run(found, db, tiny)
    adapter_store.use(found.state_dir, first["candidate"])
    weights = (
        adapter_store.adapters_dir(found.state_dir) / first["candidate"] / adapter_store.WEIGHTS
    )
    # The opposite of what was learnt.
    opposite = {k: -v if "lora_B" in k else v for k, v in load_file(weights).items()}
    save_file(opposite, weights)
    request.getfixturevalue("refused")
    second = run(found, db, tiny, max_holes=4, force=True)
    assert not second["promoted"], second["reason"]
    assert second["retired"] is True
    assert adapter_store.current_adapter(found.state_dir) is None
    assert adapter_store.rollback(found.state_dir) == first["candidate"]


def test_a_good_adapter_stays_in_use(opened_repo, tiny, request):
    _, found, db = opened_repo
    first = run(found, db, tiny)
    adapter_store.use(found.state_dir, first["candidate"])
    request.getfixturevalue("refused")
    assert run(found, db, tiny, max_holes=4, force=True)["retired"] is False
    assert adapter_store.current_adapter(found.state_dir) == first["candidate"]
