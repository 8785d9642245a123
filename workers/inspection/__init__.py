"""Shows what is in a file of a data directory, wherever the file lies.

__main__.py        the program behind `shardstore inspect`
inspect.py         inspects a file of any kind
documents.py       small files that are replaced whole
log_file.py        a log file
board_place.py     the file that names the board of a worker
table.py           a table file
findings.py        the result of an inspection
findings_text.py   findings as text or JSON
"""
