"""The client without input and output: calls and messages in, messages and settled calls out.

session.py             handles events, and returns effects
effects.py             the events and effects of a session
router_contact.py      gets a client id and routes from the router
lane_map.py            a lane for each segment, a channel for each worker
requests_of_calls.py   makes the requests of a call, one for each segment
lanes.py               requests, and the lanes in which they wait
sender.py              moves requests from lanes onto links, and back
succession.py          moves requests from a segment that is gone to those that replace it
link_changes.py        what follows when a link over tcp comes up, is lost, or is refused
replies.py             decodes replies
refusals.py            replies that are not OK, as errors
collector.py           combines the replies to the parts of a call
endings.py             errors and outcome tokens of calls that were not fully answered
writer_pace.py         how long a writer pauses
timers.py              timers of calls, requests and lanes
whereabouts.py         seam: where the router of a store listens
"""
