"""From the arguments of a method to calls, the same for the blocking and the asyncio client. No input or output.

calls.py            what a caller asks of a session
arguments.py        what a caller passes in, checked and made bytes
operations.py       reads and writes
administration.py   what an operator asks
scan.py             where a scan stands
cutting.py          a batch, cut by range into the frames of requests
resume_token.py     where a scan stands, as bytes
outcome_token.py    how to ask what became of a write, as bytes
"""
