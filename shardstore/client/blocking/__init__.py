"""The blocking client.

connect.py       `connect`
client.py        `Client`
atomic.py        its methods that read and write in one step
  expiry.py      its methods about when values expire
  of_ranges.py   its methods about all keys of a range
lifetime.py      how a client is made, opened and closed
admin.py         `Client.admin`
batch.py         what `Client.batch` returns
scan.py          what `Client.scan` returns
spaces.py        the methods of a client on spaces
space.py         what `Client.space` returns
space_entries.py its methods on keys
space_batch.py   what `Space.batch` returns
space_ranges.py  its methods on keys that lie together
space_mapping.py its methods as a mapping
space_views.py   what keys, values, items and slices of it return
call_runner.py   runs the calls of a method, several at once
locked_reads.py  direct reads, for any number of threads
pump.py          lets many threads share one session
"""
