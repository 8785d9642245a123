"""Named workloads of the store, compared with limits of the machine and, on request, with peers."""
