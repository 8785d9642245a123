"""The write-ahead log of one worker: a sequence of records, numbered by LSN, in files named by their first LSN."""
