"""Whole stores as former releases left them. Each must open for ever.

store-0.1.0.tar.xz    made by `python -m tests.golden.stores.made_store tests/golden/stores/store-0.1.0.tar.xz`
made_store.py         makes such a file with the release at hand, and says what is in it
test_former_releases.py
"""
