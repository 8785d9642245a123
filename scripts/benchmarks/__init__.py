"""Named workloads of the store, each beside its limits and, on request, beside its peers. `command` runs them."""
