"""Rules that end, trim and indent a completion. Pure."""
