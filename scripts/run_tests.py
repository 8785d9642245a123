"""Runs all checks: lint, format, types and tests. Takes a quarter of an hour on two cores.

Extra arguments are passed to pytest: `tests/unit -k scan` runs the unit tests with "scan" in their names.
"""

import compileall
import os
import subprocess
import sys

import bootstrap

TEST_PROCESSES = 1 + (os.cpu_count() or 1)
"""One more than there are cores, since tests of whole clusters often wait."""
COMPILED = ("shardstore", "router", "workers", "scripts", "tests")
CHECKS = (
    ("lint", ["ruff", "check"]),
    ("format", ["ruff", "format", "--check"]),
    ("types", ["mypy"]),
    ("tests", ["pytest", "-n", str(TEST_PROCESSES), "--dist", "worksteal"]),
)


def main() -> None:
    """Run all checks, even after a failure."""
    if {"-h", "--help"}.intersection(sys.argv):
        print(__doc__)
        return
    bootstrap.Environment().enter(extras=("dev", "scripts", "bench"))
    for folder in COMPILED:  # once: tests start thousands of processes, which cannot write bytecode on some hosts
        compileall.compile_dir(os.path.join(bootstrap.PROJECT, folder), quiet=1)
    failed = []
    for name, command in CHECKS:
        print(f"== {name}: {' '.join(command)}", flush=True)
        arguments = sys.argv[1:] if name == "tests" else []
        if subprocess.call([sys.executable, "-m", *command, *arguments], cwd=bootstrap.PROJECT) != 0:
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else "== all in order", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
