"""Loads real files into a cluster: readers, the loading loop and its durable marks, and the comparison afterwards."""
