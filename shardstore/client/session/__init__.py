"""The client without input and output: calls and messages in, messages and settled calls out.

session.py       takes events, answers with effects
effects.py       the events and effects of a session
joining.py       how it comes to its client id and to routes
routing.py       the newest routes, a lane for each segment, a channel for each worker
planning.py      from a call to a request for each segment that it concerns
lanes.py         requests, and the lanes in which they wait
sender.py        from lanes onto links, and back
succession.py    what becomes of a lane whose segment is gone
answers.py       what a reply means
refusals.py      a reply that is not OK, as an error
collector.py     what the parts of a call make together
endings.py       how a call ends that was not answered in time, and what may be applied of a write
pacing.py        how long a writer pauses
timers.py        when things are due
whereabouts.py   seam: where the router of a store listens
"""
