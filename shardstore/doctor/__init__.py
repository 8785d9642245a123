"""Examines the directory of a store that is not served, and moves aside what no range needs.

offline.py         opens such a directory
examination.py     the examination of a whole store
diagnosis.py       its result
survey.py          reads the map, the manifests and the documents of logs, and compares them
checks.py          the examination of single large files
  table_file.py      a table
  log.py             the log of a worker
side_by_side.py    does the checks in several processes
__main__.py        such a process
strays.py          files that nothing needs
spaces.py          the registry of spaces
findings.py        what is found, what it means and what to do
repair.py          moves files aside
resolution.py      cancels or completes a change that cannot go on
report.py          the result as text or JSON
log_lines.py       the records of a log as JSON lines
"""
