"""The policies that change the topology. They take plain values and return plans, each with a reason.

topology_policy.py    combines all policies, within the limits on changes
split_policy.py       chooses ranges to split, and the keys
merge_policy.py       chooses neighbours to merge
rebalance_policy.py   chooses ranges to move
  placement.py          chooses the workers that take load or bytes
  sizes.py              computes how large a range may be
together.py           prefixes within which no range begins
loads.py              the load of the store, as the policies see it
history.py            recent changes and unsplittable ranges
plan.py               the plans and unsplittable ranges that policies return
"""
