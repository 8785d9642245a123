"""The worker's half of topology changes: fencing parents, adopting children, reading across."""
