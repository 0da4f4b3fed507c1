"""The FIM corpus: mines holes from commits and follows their survival."""
