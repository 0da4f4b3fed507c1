"""From a cursor to token ids: location, query, budget, FIM format, tokenizer."""
