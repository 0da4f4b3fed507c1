"""The LoRA trainer: batches, layers, loss, checkpoints."""
