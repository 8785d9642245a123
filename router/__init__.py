"""The router process: it knows who owns which keys, and passes requests on.

__main__.py            the program
runtime.py             gives the core its surroundings, and runs it
core.py                messages, time and failed sends in, effects out
dispatch.py            from a request to its worker, and from the answer to its client
  in_flight.py           requests that were passed on and not answered yet
sessions.py            which client is behind which peer
answers.py             what the router itself says
announcer.py           tells clients and workers of the routes
registrar.py           registration, heartbeats and silence of workers
  membership.py          the worker processes, and whether they live
  ownership.py           who owns which range under which epoch
  workforce.py           which workers the store has
budget.py              leases memory to the workers
cluster_state.py       what the router knows of the cluster: shared by the parts
route_table.py         ROUTES: the map, and the changes under way
  former_owners.py       who owned segments that are gone
topology_changes.py    drives changes to their end
  change_plan.py         from a wish to a change, checked against the map
  change_stage.py        how far a change is
admin.py               what operators ask
steering.py            changes that nobody asked for
  load_table.py          what workers reported of their ranges
  policies/              what to change, from plain values
"""
