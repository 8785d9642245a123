"""Measures how busy and how large the ranges of a worker are.

meter.py         measures all ranges, and makes the report
range_meter.py   measures the work of one range
range_size.py    the size of a range
"""
