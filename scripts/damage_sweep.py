"""Damage every file of a small store in every way: see tests/damage/sweep.py. `--every-byte` for the long form."""

import subprocess
import sys

import bootstrap


def main() -> None:
    """Hand everything on to the sweep."""
    bootstrap.Environment().enter(groups=("scripts", "dev"))
    command = [sys.executable, "-m", "tests.damage.sweep", *sys.argv[1:]]
    sys.exit(subprocess.call(command, cwd=bootstrap.PROJECT))


if __name__ == "__main__":
    main()
