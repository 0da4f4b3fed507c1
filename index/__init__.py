"""What is known of a repository: git objects, chunks, vectors, the FIM corpus, search."""
