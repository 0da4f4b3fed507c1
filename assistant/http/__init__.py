"""HTTP on the loopback interface: the protocols of editors' clients, over the service."""
