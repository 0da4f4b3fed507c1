"""Helpers of the tests: real repositories, tiny real models, servers, and assertions."""
