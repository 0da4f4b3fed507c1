"""Trains an adapter, evaluates it on later commits, and promotes it when it wins."""
