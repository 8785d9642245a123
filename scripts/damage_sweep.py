"""Damages every file of a small store in many ways; `--every-byte` is the long form. See tests/damage/sweep.py."""

import subprocess
import sys

import bootstrap


def main() -> None:
    """Run the sweep with all arguments."""
    bootstrap.Environment().enter(groups=("scripts", "dev"))
    command = [sys.executable, "-m", "tests.damage.sweep", *sys.argv[1:]]
    sys.exit(subprocess.call(command, cwd=bootstrap.PROJECT))


if __name__ == "__main__":
    main()
