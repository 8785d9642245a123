"""Export and import: what a store holds, in files that are independent of it.

content.py      what such a file holds: sections, and their entries as they are stored
json_keys.py    typed keys as JSON, and back
json_values.py  values as JSON, and back
json_lines.py   a file of JSON Lines
bundle.py       a file with checksums, in binary
parquet.py      a file of Parquet, through pyarrow
forms.py        which form a file has
sections.py     which spaces of a store are exported, and how an import finds or makes them
exporting.py    from a store into a file; goes on where it was interrupted
importing.py    from a file into a store; goes on where it was interrupted
"""
