"""Runs the checks: lint, format, types and the fast tests. Takes four to eight minutes on two cores.

--all runs the slow tests too, ten to twenty minutes. --compiled compiles the hot modules in a copy of the checkout, and
runs the tests there, without lint and types. Other arguments are passed to pytest: `tests/unit -k scan` runs the fast
unit tests with "scan" in their names.
"""

import compileall
import os
import subprocess
import sys

import bootstrap
import compiled_copy

TEST_PROCESSES = 1 + (os.cpu_count() or 1)
"""One more than there are cores, since tests of whole clusters often wait."""
FOLDERS = ("shardstore", "router", "workers", "scripts", "tests")
CHECKS = {
    "lint": ["ruff", "check"],
    "format": ["ruff", "format", "--check"],
    "types": ["mypy"],
}
TESTS = ["pytest", "-n", str(TEST_PROCESSES), "--dist", "worksteal", "--durations", "20"]
LEFT_OUT = (
    "== left out: slow tests (whole clusters, benchmarks, most seeds of the simulation). "
    "To run all: python3 scripts/run_tests.py --all"
)


def main() -> None:
    """Run all checks, even after a failure."""
    arguments = sys.argv[1:]
    if {"-h", "--help"}.intersection(arguments):
        print(__doc__)
        return
    everything, compiled = "--all" in arguments, "--compiled" in arguments
    groups = ("dev", "scripts", "bench", *(("compiled",) if compiled else ()))
    bootstrap.Environment().enter(groups=groups)
    chosen = [argument for argument in arguments if argument not in ("--all", "--compiled")]
    checks = {} if compiled else dict(CHECKS)
    checks["tests"] = [*TESTS, *([] if everything else ["-m", "not slow"]), *chosen]
    try:
        place = compiled_copy.make() if compiled else bootstrap.PROJECT
        keep_bytecode(place)
        failed = [name for name, command in checks.items() if not passes(name, command, place)]
    except KeyboardInterrupt:
        sys.exit("== stopped")
    print(f"== failed: {', '.join(failed)}" if failed else "== all in order", flush=True)
    if not everything:
        print(LEFT_OUT, flush=True)
    sys.exit(1 if failed else 0)


def keep_bytecode(place: str) -> None:
    """Make the bytecode once: the tests start thousands of processes. What pytest compiles is for the next run."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for folder in FOLDERS:
        compileall.compile_dir(os.path.join(place, folder), quiet=1)


def passes(name: str, command: list, place: str) -> bool:
    """Run one check in this directory. Ctrl-C reaches it too: it has the time to end what it started."""
    print(f"== {name}: {' '.join(command)}", flush=True)
    paths = {"PYTHONPATH": place}  # before the installed checkout, also in processes that tests start
    child = subprocess.Popen([sys.executable, "-m", *command], cwd=place, env=os.environ | paths)
    try:
        return child.wait() == 0
    except KeyboardInterrupt:
        child.wait()
        raise


if __name__ == "__main__":
    main()
