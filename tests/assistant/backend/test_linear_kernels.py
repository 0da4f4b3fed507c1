"""int8 layers run on optimised kernels, never on oneDNN's reference loops."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from git_copilot.assistant.backend.torch_ops import int8_is_exact

RUN = """
import torch
from git_copilot.assistant.backend.linear import DigitLinear
layer = DigitLinear(torch.randn(96, 64))
for rows in (1, 2, 8):
    layer(torch.randn(rows, 64))
"""


@pytest.mark.skipif(not int8_is_exact(), reason="this machine has no int8 instructions")
def test_int8_layers_never_run_on_reference_kernels():
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, "ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    ran = [line for line in done.stdout.splitlines() if ",exec,cpu,matmul," in line]
    assert len(ran) == 3
    assert not [line for line in ran if ",ref" in line]
