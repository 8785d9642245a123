"""What all files of a store have in common. Values only, no input or output.

file_names.py   every name in a data directory
documents.py    small files that are replaced whole
"""
