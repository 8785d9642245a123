"""The ranges that a worker owns.

owned_range.py      one range
role.py             what it is in topology changes
opening.py          opens ranges from their manifests
replay.py           from the log back into the overlays
inheritance.py      what a child reads before it has files
range_view.py       what a scan reads
empty_spans.py      where a range has no living key
dedup.py            which requests were applied to a segment
  known_requests.py   the requests of one client
  sequence_runs.py    sequences that ended in the same way
  results.py          what a retry is told
  window_share.py     the memory for all dedup windows
"""
