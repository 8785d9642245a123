"""How busy and how large the ranges of a worker are."""
