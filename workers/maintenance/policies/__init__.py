"""Decides from plain values what a job does next.

drain_policy.py        chooses the layers to seal
drain_choice.py        chooses the runs for the next drain
drain_pace.py          pauses between drains, which leave time for a compaction
compaction_policy.py   chooses which layers of a segment to merge
compaction_choice.py   chooses the segment to compact next
layer_sizes.py         the sizes that both policies take
rest.py                how long nothing has been written to a range
"""
