"""From a request to an answer: the use case of `git copilot complete`."""
