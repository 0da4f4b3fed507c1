"""LoRA adapters on disk, the one in use, and what each was trained on."""
