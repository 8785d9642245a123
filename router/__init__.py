"""The router process: it knows which worker owns which keys, and forwards requests.

__main__.py            the program
runtime.py             connects the core with files, sockets and the clock
core.py                takes events, returns effects; makes and connects the parts below
cluster_state.py       what the router knows of the cluster, shared by the parts
  route_table.py         the route map, the changes under way, and their file ROUTES
  former_owners.py       the workers that owned segments which are no longer in the map
  membership.py          the worker processes, and whether they are up
  budget.py              leases memory to the workers
dispatch.py            forwards requests to workers, and replies to clients
  in_flight.py           forwarded requests that have no reply yet
known_clients.py       the clients, and the connection of each
replies.py             replies that the router itself gives
announcer.py           sends the routes to clients and workers
registrar.py           registration, heartbeats and failure of workers
  ownership.py           rules for the epochs and ranges of a worker that registers
workforce.py           adds and removes workers
topology_changes.py    carries out topology changes
  change_plan.py         makes a change from a plan, and checks it against the map
  change_stage.py        computes the stage of a change
  change_waits.py        what a change waits for, in words
  resolutions.py         cancels or completes a change, and says what that loses
balancer.py            begins topology changes, on request or by policy
  load_table.py          the latest load reports of the workers
  policies/              decides what to change, from plain values
admin.py               requests of operators
"""
