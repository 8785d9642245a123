"""Simulates more seeds than the tests do: `--seeds N --start S`. See tests/simulation/campaign.py."""

import subprocess
import sys

import bootstrap


def main() -> None:
    """Run the campaign with all arguments."""
    bootstrap.Environment().enter(groups=("scripts", "dev"))
    command = [sys.executable, "-m", "tests.simulation.campaign", *sys.argv[1:]]
    sys.exit(subprocess.call(command, cwd=bootstrap.PROJECT))


if __name__ == "__main__":
    main()
