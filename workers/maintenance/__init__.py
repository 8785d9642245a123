"""Jobs: which one is next, and the process that runs them."""
