"""The stable storage of one range: a manifest and sorted table files."""
