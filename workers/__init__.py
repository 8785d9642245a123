"""The worker process and its maintenance process.

__main__.py         the program
runtime.py          gives the core its surroundings, and runs it
service.py          what a worker has once its log is replayed
core.py             messages, syncs and finished jobs in, effects out
answering.py        which part of the worker takes which operation
refusing_core.py    a worker whose log cannot be opened
registration.py     the worker's standing with the router
statistics.py       the statistics of a worker
trouble.py          what an operator is told when something fails
sync_thread.py      syncs of the log, off the event loop
serving/            requests and their answers
ranges/             the ranges, and what is remembered of requests
overlay/            writes that no file holds yet
wal/                the write-ahead log
segment/            manifests and table files
maintenance/        which job is next, and the process that runs it
jobs/               what the maintenance process does
topology/           the worker's half of changes of ranges
load/               how busy and how large ranges are
inspection/         `shardstore inspect`
"""
