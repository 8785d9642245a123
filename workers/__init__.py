"""The worker process and its maintenance process.

__main__.py         the program
runtime.py          gives the core its surroundings, and runs it
service.py          the parts that exist once the log is replayed
core.py             messages, syncs and finished jobs in, effects out
operations.py       passes each operation to the part that handles it
refusing_core.py    a worker whose log cannot be opened
registration.py     messages to the router: registration, heartbeats
request_counts.py   counts what it is asked for
statistics.py       the statistics of a worker
trouble.py          reports failures to the operator
sync_thread.py      syncs the log, off the event loop
serving/            requests and their replies
ranges/             the ranges, and what is remembered of requests
board/              tells clients what they may read themselves
overlay/            writes that are in no table yet
wal/                the write-ahead log
segment/            writes manifests and tables
maintenance/        which job is next, and the process that runs it
jobs/               what the maintenance process does
topology/           the worker's half of changes of ranges
load/               how busy and how large ranges are
inspection/         `shardstore inspect`
"""
