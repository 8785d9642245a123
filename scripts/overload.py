"""Loads a cluster with several times what its drains can handle, and checks memory, goodput and refusals.

python3 scripts/overload.py --seconds 120                  # two workers, 256 MiB, eight writer processes
python3 scripts/overload.py --writers 16 --memory 1GiB
"""

import bootstrap

if __name__ == "__main__":
    bootstrap.Environment().enter(groups=("scripts", "bench"))
    from benchmarks.overload import main

    main()
