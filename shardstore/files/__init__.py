"""What the files of a store have in common: their names, and the format of small files. No input or output of its own.

file_names.py   every name in a data directory
documents.py    small files that are replaced as a whole
"""
