"""How busy and how large the ranges of a worker are.

meter.py         what is measured of all ranges, and the report
range_meter.py   the work of one range
range_size.py    how large a range is
"""
