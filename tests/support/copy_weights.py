"""Weights that copy always, never, or by half; and a text to copy from."""

from __future__ import annotations

from git_copilot.assistant.decoding.copy_weights import LONGEST, CopyWeights

ALWAYS = CopyWeights(0, 0, 0, 0, (50.0,) * LONGEST)
NEVER = CopyWeights(0, 0, 0, 0, (-50.0,) * LONGEST)
HALF = CopyWeights(0, 0, 0, 0, (0.0,) * LONGEST)
OTHER = "class Cart:\n    def total(self, basket):\n        return basket.subtotal + self.duty\n"
