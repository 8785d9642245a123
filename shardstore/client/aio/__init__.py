"""The asyncio client: the counterpart of `blocking/`, module by module.

connect.py       `connect_async`
client.py        `AsyncClient`
atomic.py        its methods that read and write in one step
  expiry.py      its methods about when values expire
  of_ranges.py   its methods about all keys of a range
lifetime.py      how a client is made, opened and closed
admin.py         `AsyncClient.admin`
batch.py         what `AsyncClient.batch` returns
scan.py          what `AsyncClient.scan` returns
spaces.py        the methods of a client on spaces
space.py         what `AsyncClient.space` returns
space_entries.py its methods on keys
space_batch.py   what `AsyncSpace.batch` returns
space_ranges.py  its methods on keys that lie together
space_mapping.py its methods on all keys
call_runner.py   runs the calls of a method, several at once
pump.py          lets an event loop drive a session
"""
