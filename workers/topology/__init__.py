"""The worker's half of changes of ranges.

holdings.py       the ranges of this worker
changes.py        what the router has ordered, and how far it is
remote_reads.py   what a child asks of parents in other processes
"""
