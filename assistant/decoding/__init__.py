"""From logits to text: sampling, speculation, copying, search, token healing."""
