"""Puts several times the load on a cluster that its drains can take, and watches memory, goodput and refusals.

python3 scripts/overload.py --seconds 120                  # two workers, 256 MiB, eight writing processes
python3 scripts/overload.py --writers 16 --memory 1GiB
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts", "bench"))
    from benchmarks.overload import main

    main()
