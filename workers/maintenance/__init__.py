"""Which job is next, and the process that runs it.

queue.py               what to do next, and what becomes of each job
  job_slot.py            jobs that run one after the other
  job_kind.py            what the queue asks of each kind of job
  kinds/                 the kinds of jobs: when one is due, and what follows from its end
  barriers.py            who waits for a flush or a compaction
sealer.py              seals active layers
  drain_policy.py        which ones
  rest.py                how long nothing has been written to a range
drain_choice.py        which runs the next drain takes
drain_pace.py          how drains leave time for a compaction
compaction_policy.py   when layers are merged without being asked
compaction_choice.py   which segment is next
layer_sizes.py         the sizes that policies take
process.py             the worker's side of the maintenance process
channel.py             jobs and results, over a socket pair
__main__.py            the maintenance process
side_by_side.py        the parts of a job, in threads
"""
