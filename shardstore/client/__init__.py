"""The client library: one sans-I/O session under a blocking and an asyncio client.

blocking_client.py, asyncio_client.py    the methods a program calls
  operations.py, scanning.py     arguments to calls: checked, cut into chunks and pages
  pump.py, loop_pump.py          threads or an event loop take turns at driving the session
    driver.py                    executes the session's effects
      session.py                 calls and messages in, messages and settled calls out
        planning.py, cutting.py    which segment gets what of a call
        lanes.py, in_flight.py     what waits, what is sent, in which order
        sending.py                 from lanes onto links, and back when it has to be sent again
        routing.py, joining.py     the newest routes, and how they are asked for
        answers.py, collecting.py  what a reply means; what the parts of a call make together
        timers.py                  when things are due
"""
