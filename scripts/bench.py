"""Measures the store, beside the limits that pyzmq, a dict and the disk set on the same machine, and beside peers.

python3 scripts/bench.py                                  # all workloads
python3 scripts/bench.py put_many get_many --shape hex    # some: before and after a change to a hot path
python3 scripts/bench.py --peers --plot bench.png --json bench.json
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts", "bench"))
    from benchmarks.command import main

    main()
