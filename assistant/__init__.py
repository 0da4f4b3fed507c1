"""What the user runs: the command line, completions, servers, adapters, evaluation."""
