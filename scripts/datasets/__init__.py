"""Real files into a cluster: readers, the loading loop and its durable mark, and the comparison afterwards."""
