"""What type checkers see of the public API. mypy checks these files; they are never run."""
