"""The client library: one session without input and output, under a blocking and an asyncio client.

blocking/      the methods a program calls, and threads that take turns at driving the session
aio/           the same for an asyncio program
calls/         arguments in, calls out
session/       calls and messages in, messages and settled calls out
driver.py      runs a session over a transport
opening.py     the real transport, clock and entropy, put together for one endpoint
finding.py     where the cluster of a store listens
probing.py     what can be seen of an endpoint without asking anybody there
host_name.py   whether the host of a url has an address
forking.py     clients that are carried over a fork
"""
