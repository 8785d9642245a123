"""The worker process and its maintenance process."""
