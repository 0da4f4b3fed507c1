"""The FIM corpus: mines holes from commits and follows what became of them."""
