"""The worker's side of its board, in which it tells clients what they may read themselves (wire/board_format.py).

worker_board.py     gives slots to ranges
range_slot.py       the slot of a range, and the only code that changes it
filter_pool.py      the filters that slots use
"""
