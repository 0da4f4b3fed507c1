"""Typed requests and answers of the service, and their JSON. No click, no sockets."""
