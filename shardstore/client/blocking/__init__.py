"""The blocking client.

connect.py       `connect`
client.py        `Client`
atomic.py        its methods that read and write in one step
lifetime.py      how a client is made, opened and closed
admin.py         `Client.admin`
batch.py         what `Client.batch` returns
scan.py          what `Client.scan` returns
call_runner.py   runs the calls of a method, several at once
locked_reads.py  direct reads, for any number of threads
pump.py          lets many threads share one session
"""
