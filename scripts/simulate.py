"""Seeds of the simulation, more of them than the tests run: `--seeds N --start S`. See tests/simulation/campaign.py."""

import subprocess
import sys

import bootstrap


def main() -> None:
    """Hand everything on to the simulation."""
    bootstrap.Environment().enter(groups=("scripts", "dev"))
    command = [sys.executable, "-m", "tests.simulation.campaign", *sys.argv[1:]]
    sys.exit(subprocess.call(command, cwd=bootstrap.PROJECT))


if __name__ == "__main__":
    main()
