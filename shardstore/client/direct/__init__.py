"""Reads that need no other process: from the tables of a range, if the board of its worker allows it.

direct_reads.py      what a client asks before it asks a worker; makes the reader when it is first worth it
ask.py               the answer that says that a worker must be asked
reader.py            reads one or many keys, and pages of scans
slots.py             finds the slot of a range on the board of its worker
readable_range.py    reads one range in the four steps of wire/board_format.py
table_view.py        the tables of a range that has no keys in memory, for a scan
open_files.py        the open segments, bounded in number and memory
"""
