"""The client library: one session without input and output, under a blocking and an asyncio client.

blocking/           the client for threads, which take turns at driving the session
aio/                the client for an asyncio program
calls/              arguments in, calls out
direct/             reads that need no other process
session/            calls and messages in, messages and settled calls out
driver.py           runs a session over a transport
surroundings.py     puts the real transport, clock and entropy together for one endpoint
open_reader.py      opens the files of a store for direct reads
store_finder.py     finds out where the cluster of a store listens
endpoint_probe.py   examines an endpoint without sending a request
host_name.py        checks whether the host of a url has an address
fork_hook.py        renews clients in the child of a fork
"""
