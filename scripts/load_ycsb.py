"""Runs the core workloads of YCSB against a cluster or Redis, from any number of client processes:

python3 scripts/load_ycsb.py a                                   # a new cluster; loads it, then runs workload A
python3 scripts/load_ycsb.py c --processes 4 --seconds 30        # for 30 seconds
python3 scripts/load_ycsb.py b --tasks 64 --target 20000         # 20,000 operations a second, from asyncio tasks
python3 scripts/load_ycsb.py e --url unix:///... --phase run     # a cluster that is loaded already
python3 scripts/load_ycsb.py a --store redis --url redis://127.0.0.1:6379 --phase both
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts", "bench"))
    from ycsb.command import main

    main()
