"""The adapter in use, with which a candidate is compared."""

from __future__ import annotations

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext


def adapter_in_use(context: RepositoryContext) -> str | None:
    """The adapter in use, if it was made for the model that is trained."""
    state, model = context.state_dir, context.settings.model
    warning = adapter_store.current_warning(state)
    if warning is not None:
        context.note(f"no adapter to compare with: {warning}")
    current = adapter_store.current_adapter(state)
    if current is None or adapter_store.base_model(state, current) == model:
        return current
    context.note(f"the adapter {current} was trained for another model and is not compared")
    return None
