"""From token ids to logits: loading, forward passes, key/value caches, devices."""
