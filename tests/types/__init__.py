"""The types of the public API as type checkers see them. mypy checks these files; they are never run."""
