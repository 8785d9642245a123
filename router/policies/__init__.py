"""What to change in the topology: plain values in, plans with a reason out.

topology_policy.py    all policies together
split_policy.py       which ranges to split, and where
merge_policy.py       which neighbours to merge
rebalance_policy.py   which ranges to move
  placement.py          to which worker load or bytes should go
  sizes.py              how large a range may be
loads.py              what policies see of the store
history.py            what was changed lately
plan.py               what policies return
"""
