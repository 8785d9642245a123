"""What the files of a store have in common: their names, and the format of small files. No input or output of its own.

file_names.py   every name in a data directory
board_place.py  the file that names the board of a worker
formats.py      the versions of formats that are written and read
documents.py    small files that are replaced as a whole
set_aside.py    segments that an operator gave up
"""
