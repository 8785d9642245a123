"""The ranges that a worker owns.

owned_range.py        one range
role.py               its role in topology changes
range_opener.py       opens ranges from their manifests
reopening.py          tries again to open ranges that the disk kept from being opened
replay.py             replays the log into the overlays
inheritance.py        the parents that a child reads until it has files
range_view.py         what a scan reads
  uncleared.py        what range deletions leave of the layers below them
dedup.py              which requests were applied to a segment
  known_requests.py   the requests of one client
  sequence_spans.py   consecutive sequences with the same ending
  results.py          the results of writes
  window_share.py     divides the memory for all dedup windows
"""
