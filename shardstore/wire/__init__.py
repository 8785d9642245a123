"""What processes say to each other: frames, columns and documents. Values only, no input or output.

wire_format.py      the header of every message, and the frames behind it
columns.py          many keys or many values as one frame
unpacking.py        msgpack within bounds
messages.py         the documents of client, router and workers
admin_messages.py   the documents of an operator's requests
load_report.py      what a worker reports of its ranges
topology.py         changes of ranges: what is ordered, and how far it is
route_map.py        which segment, worker and epoch own each key
counters.py         values that INCREMENT adds to
"""
