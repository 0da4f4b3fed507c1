"""Adapters of tiny models that change what is written."""

from __future__ import annotations

import torch

from git_copilot.assistant.adapters import adapter_store


def add_adapter(project, tiny, second, newest):
    """A LoRA adapter that changes what is written, trained on commits up to ``newest``."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(second)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), config)
    for name, tensor in model.named_parameters():
        if "lora" in name:
            torch.nn.init.normal_(tensor, std=0.3)
    identity = adapter_store.new_id(second)
    evidence = {
        "base_model": str(tiny.resolve()),
        "promoted": True,
        "commits": {"train": [newest, newest], "held_out": [newest, newest]},
    }
    state = project.git_dir / "copilot"
    adapter_store.create(state, identity, model.save_pretrained, evidence)
    adapter_store.use(state, identity)
    return identity
