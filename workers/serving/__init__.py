"""Serves requests.

requests.py        decodes and checks requests
reply.py           makes replies
read_path.py       GET and TTL
write_path.py      PUT, DELETE, DELETE_RANGE and OUTCOME
  conditions.py      COMPARE_AND_SET, INCREMENT and EXPIRE
  atomic_batch.py    BATCH and PUT_UNTIL
  take.py            TAKE
  newest_values.py   the values that conditions are evaluated on
  admission.py       whether a write is admitted
  logged_write.py    a write between log and overlay
  logged_clear.py    a range deletion there
  hybrid_clock.py    the clock by which values expire, and its lease
  buffer_lease.py    how much may be buffered
  drain_rate.py      when there will be room
scan_path.py       SCAN and END_SCAN
  open_scans.py      what scans hold between two pages
  pages_ahead.py     pages that are read ahead
  count_path.py      COUNT
"""
