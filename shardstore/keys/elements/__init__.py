"""The elements of tuple keys, in the published tuple encoding of FoundationDB, and the tuples made of them.

codes.py          the table of codes
element.py        what every kind of element does, and its errors
batch.py          many encoded keys side by side
strings.py        bytes and str
integers.py       int
floats.py         float
booleans.py       bool
uuids.py          UUID
moments.py        date and datetime
tuple_form.py     which elements a tuple has; tuples in tuples
tuple_columns.py  many tuple keys, column by column
"""
