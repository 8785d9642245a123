"""Writes the files of a range. shardstore/tables reads them.

state.py             the states of a segment
manifest_writer.py   makes and publishes manifests
table_writer.py      writes a table
  column_writer.py   encodes its columns
  key_prefixes.py    the prefix that the keys of a block share
tombstones.py        which tombstones are still needed, and those for expired values
"""
