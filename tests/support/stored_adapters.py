"""Adapters in the store whose weights say nothing."""

from __future__ import annotations

import json
import struct

from git_copilot.assistant.adapters import adapter_store


def safetensors(size=16):
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes(size)


def fill(folder):
    (folder / adapter_store.CONFIG).write_text('{"peft_type": "LORA"}')
    (folder / adapter_store.WEIGHTS).write_bytes(safetensors())


def add(state, second, promoted=True, **facts):
    """Create an adapter as if ``seconds`` after the epoch."""
    identity = adapter_store.new_id(second)
    evidence = {"base_model": "tiny", "promoted": promoted, "delta_em": 1.5, **facts}
    adapter_store.create(state, identity, fill, evidence)
    return identity
