"""The commands of `git copilot`, one module each, imported when they are called."""
