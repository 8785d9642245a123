"""Chooses the jobs of a worker, and runs them in the maintenance process.

queue.py          starts jobs, and handles their results
kinds/            the kinds of jobs: when one is due, and what follows from its end
sealer.py         seals active layers
policies/         decides from plain values what a job does next
process.py        the worker's side of the maintenance process
channel.py        jobs and results over a socket pair
__main__.py       the maintenance process
side_by_side.py   runs the tasks of a job in threads
"""
