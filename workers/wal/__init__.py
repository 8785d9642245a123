"""The write-ahead log of one worker: records, numbered by LSN, in files named by their first LSN.

record_format.py   the files and records
log_document.py    LOG: which log this is, and from where on it is needed
writer.py          appends
reader.py          reads a log that is whole
recovery.py        opens a log after any end of its process
  scan.py            what of a log survived
"""
