"""Knowledge of a repository: git objects, chunks, vectors, search and the FIM corpus."""
