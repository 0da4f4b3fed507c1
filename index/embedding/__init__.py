"""Embedders and the FAISS index over their vectors."""
