"""Spaces: named sub-stores with types, without input and output. Both clients use them (`client/*/spaces.py`).

reserved.py     the keys of the store that are reserved for spaces
document.py     what is stored of a space
infos.py        what `spaces` returns
space_types.py  the types that a caller wants, against those that are stored
registry.py     making, finding and dropping a space, step by step
steps.py        runs steps with either client
space_codec.py  keys and values of a space as bytes of the store, and back
key_bounds.py   where keys lie: starts, ends, prefixes and slices
columns.py      any number of entries, in chunks
arguments.py    arguments as users of dict and SortedDict write them
space_batch.py  an atomic batch of a space
conditions.py   changes that depend on what is there, step by step
"""
