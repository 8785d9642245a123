"""The worker's part in topology changes.

holdings.py        the ranges of this worker
local_changes.py   the changes that the router has ordered, and their progress
remote_reads.py    reads from the parents of a child on other workers
"""
