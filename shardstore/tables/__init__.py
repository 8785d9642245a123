"""Reading of a range's files: a manifest and sorted tables. Writes nothing, so that any process may do it.

segment.py            an open segment
  manifest.py           which tables there are, and which log records they hold
  main.py               a main: parts in key order, read as one layer
  empty_layer.py        an empty layer
  open_tables.py        tables, opened when first asked for
chunk.py              what is read of a layer
stretches.py          what a layer tells a reader of its keys
cut_keys.py           keys that cut a range into parts of the same bytes
table_format.py       the table file
table_reader.py       reads one
  virtual_part.py       of which only the keys within bounds count
  table_file.py         the mapped file and its sections
  table_parts.py        what is made of the file to read it
  column_reader.py      one column
  column_items.py       its items in memory
  prefixed_reader.py    keys behind the prefix they share
  lookups.py            statistics of lookups
blocks.py             the blocks of an open table
  block_index.py        where each block lies
  block_cache.py        expanded blocks
  compression.py        compressed blocks
hash_index.py         from the hash of a key to its entries
bloom.py              Bloom filter
digests.py            hashes of keys
cache.py              what is kept in memory of all segments
"""
