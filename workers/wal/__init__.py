"""The write-ahead log of one worker: records, numbered by LSN, in files named by their first LSN.

record_format.py   the format of files and records
  batch_values.py    the values of a BATCH
record_run.py      many records at once, verified
record_entries.py  the entries of single records
log_document.py    LOG: which log this is, and from where on it is needed
writer.py          appends records
reader.py          reads a log that was verified
recovery.py        opens a log, however its process ended
  scan.py            finds out what of a log survived
"""
