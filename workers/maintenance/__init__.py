"""Chooses the jobs of a worker, and runs them in the maintenance process.

queue.py               starts jobs, and handles their results
  job_slot.py            runs jobs one after the other
  job_kind.py            the interface of a kind of job
  kinds/                 the kinds of jobs: when one is due, and what follows from its end
  barriers.py            requests that wait for a flush or a compaction
sealer.py              seals active layers
  drain_policy.py        chooses the layers to seal
  rest.py                how long nothing has been written to a range
drain_choice.py        chooses the runs for the next drain
drain_pace.py          pauses between drains, which leave time for a compaction
compaction_policy.py   chooses which layers of a segment to merge
compaction_choice.py   chooses the segment to compact next
layer_sizes.py         the sizes that both policies take
process.py             the worker's side of the maintenance process
channel.py             jobs and results over a socket pair
__main__.py            the maintenance process
side_by_side.py        runs the tasks of a job in threads
"""
