"""What is in a file of a data directory, wherever it lies.

__main__.py    the program behind `shardstore inspect`
inspect.py     a file of any kind
documents.py   small files that are replaced whole
log_file.py    a log file
table.py       a table file
findings.py    what an inspection finds
rendering.py   findings as text or JSON
"""
