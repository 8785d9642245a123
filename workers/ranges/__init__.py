"""The ranges a worker owns."""
