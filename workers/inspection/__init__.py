"""What is in a file of a data directory, wherever it lies: for operators and for who debugs."""
