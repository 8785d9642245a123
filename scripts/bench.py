"""Measures the store and compares it with the limits of pyzmq, a dict and the disk of this machine, and with peers.

python3 scripts/bench.py                                  # all workloads
python3 scripts/bench.py put_many get_many --shape hex    # some workloads: before and after a change on a hot path
python3 scripts/bench.py --peers --plot bench.png --json bench.json
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts", "bench"))
    from benchmarks.command import main

    main()
