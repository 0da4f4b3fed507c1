"""Trains an adapter, judges it on later commits, and promotes it when it wins."""
