"""Reads a range's files: a manifest and sorted tables. Nothing here writes, so any process may use it.

segment.py            an open segment
  manifest.py           names the tables of a segment and the log records they hold
  main.py               a main: parts in key order, read as one layer
  empty_layer.py        a layer without entries
  open_tables.py        the tables of a segment, each opened on first use
scan_page.py          makes one page of a scan over layers
  merge.py              merges columns of entries
  deleted_keys.py       skips deleted keys
  empty_ranges.py       keys that are known to have no value
chunk.py              what a read of a layer returns
expired.py            the values that readers get: deleted and expired keys have none
wanted.py             keys that are looked up together
  padded_keys.py        keys of several lengths as the rows of an array
counting.py           counts keys that have a value
stretches.py          how a reader finds pieces of a range with a wanted number of entries
cut_keys.py           keys that cut a range into pieces of equal size
key_ranges.py         any number of key ranges as one set of keys
table_format.py       the table file
table_reader.py       reads a table
  virtual_part.py       a table of which only the keys within bounds count
  table_file.py         the mapped file and its sections
  section_readers.py    index, filter, blocks and columns of an open table
  block_stretches.py    what stretches of blocks hold
  column_reader.py      reads a column
  column_items.py       the items of a column in memory
  lazy_items.py         large items, each cut from the mapped file when it is read
  prefixed_reader.py    reads keys that are stored without their common prefix
  lookup_counts.py      lookup statistics
not_ready.py          the answer of a read that may change nothing where it would have to
blocks.py             the blocks of an open table
  block_index.py        where each block lies
  block_cache.py        expanded blocks
hash_index.py         finds the entries of a key by its hash
bloom.py              Bloom filter
digests.py            hashes of keys
  row_digests.py        those of keys of one length, all at once
cache.py              the memory that all segments share
"""
