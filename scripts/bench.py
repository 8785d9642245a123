"""Measures a cluster, and beside it the limits that pyzmq and a dict set on the same machine.

Keys are 16 hexadecimal digits of splitmix64, values are 24 bytes. Run it before and after each change to a hot path:

    python3 scripts/bench.py                       # all workloads on a new cluster
    python3 scripts/bench.py get_many --n 1000000
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter()
    from benchmarks import main

    main()
