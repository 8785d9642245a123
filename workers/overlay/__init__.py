"""The writes of a range that are in no table yet: an active layer above a queue of immutable runs.

overlay.py          the layers of a range
active_layer.py     the mutable layer
immutable_run.py    a sealed layer
sorted_entries.py   the entries of a layer in key order
key_sample.py       how the bytes of a layer are spread over its keys
pin.py              the layers as they were when a scan began
"""
