"""Makes calls from the arguments of methods, for the blocking and the asyncio client. No input or output.

calls.py            the calls that a session takes
arguments.py        checks arguments, and makes them bytes
ends.py             when values expire
operations.py       calls for reads and writes
batch.py            what an atomic batch collects
administration.py   calls for an operator
scan.py             the position of a scan, and its calls
pages.py            makes the page of a scan from its columns
some_read.py        the values of a batch that was read in part
batch_pieces.py     cuts a batch by range into the frames of requests
resume_token.py     the position of a scan, as bytes
outcome_token.py    what is needed to ask what became of a write, as bytes
"""
