"""The messages between processes: frames, columns and documents. Values only, no input or output.

link_names.py        the names of the links between processes
wire_format.py       the header of every message, and the frames after it
columns.py           many keys or many values as one frame
expiring_items.py    values that are to expire, as items of columns
bounded_msgpack.py   decodes msgpack within bounds
messages.py          the documents of client, router and workers
admin_messages.py    the documents of an operator's requests
load_report.py       a worker's report on the load and size of its ranges
topology.py          the documents of topology changes: orders and progress
route_map.py         which segment, worker and epoch own each key
board_format.py      the shared memory in which a worker says what clients may read themselves
lifetimes.py         how long the value of a key is still there
counters.py          the values that INCREMENT adds to
"""
