"""A sharded, ordered, persistent key-value store that every process of a Python service can share."""
