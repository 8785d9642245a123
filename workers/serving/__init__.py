"""Requests and their answers.

requests.py        what was asked, checked
reply.py           whom to answer, and how
read_path.py       GET
write_path.py      PUT and DELETE
  conditions.py      COMPARE_AND_SET and INCREMENT
  admission.py       whether a write is let in
  logged_write.py    a write between log and overlay
  buffer_lease.py    how much may be buffered
  drain_rate.py      when there will be room
scanning.py        SCAN and END_SCAN
  scan_page.py       one page
  deleted_keys.py    passes over deleted keys
  open_scans.py      what is held between two pages
  pages_ahead.py     pages that are read before they are asked for
"""
