"""Writing of a range's files, which shardstore/tables reads.

state.py            the states of a segment
publishing.py       manifests, one version after the other
table_writer.py     writes a table
  column_writer.py    encodes its columns
  key_prefixes.py     the prefix that the keys of a block share
merge.py            columns of entries, merged
tombstones.py       which tombstones are still needed
"""
