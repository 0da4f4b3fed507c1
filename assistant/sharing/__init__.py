"""Adapters as signed commits below ``refs/copilot``: pushed, fetched, checked and installed."""
