"""The command line.

commands.py      `shardstore` itself: commands that read and write keys, and show statistics
serve.py         `shardstore serve`
admin.py         the operator's commands: ranges and workers
changes.py       `shardstore changes`: changes that are under way, and how to resolve one
status.py        `shardstore status`
doctor.py        `shardstore doctor`
wal.py           `shardstore wal`
keys.py          `shardstore keys`
exchange.py      `shardstore export` and `shardstore import`
offline_command.py  what commands on files have in common
connection.py    how a command reaches a cluster
failures.py      how a command fails: one line, one exit code
help_texts.py    help and version
output.py        what a command prints
progress.py      how far a long command is
log.py           the log of `serve`
store_status.py  derives from its statistics whether a store serves
memory_table.py  a table of the memory that a store uses
"""
