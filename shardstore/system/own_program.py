"""Starts a process of this project, with the interpreter, environment and import path of this process.

Only the order of the import path changes: first the standard library, then the directories from which this process
loaded the project and its dependencies, then the rest. So a `queue.py` or `lz4/` of the user, in the working directory
or on PYTHONPATH, does not hide the real module.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from shardstore.errors import InvalidRequest

PACKAGES = str(Path(__file__).resolve().parent.parent)
"""The directory or archive that holds this project."""
NEEDED = (
    "click",
    "lz4",
    "mmh3",
    "msgpack",
    "nacl",
    "numpy",
    "psutil",
    "sortedcontainers",
    "xxhash",
    "zmq",
    "zstandard",
)
_HARMFUL = frozenset(("PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONWARNINGS"))
"""They remove the assertions that guard the data, keep a process alive after its end, or make warnings fatal."""
_PARTS_OF_THE_LIBRARY = ("lib-dynload", f"python{sys.version_info[0]}{sys.version_info[1]}.zip")
_PROGRAM = """import os, sys
sys.path[:] = map(os.fsdecode, {path})
import runpy
runpy.run_module({module!r}, None, "__main__", True)"""


def command_of(module: str, argument: str) -> Sequence[str]:
    """Return the command that runs a module of the project. Paths in it are bytes: the child's locale may differ.

    Raises InvalidRequest if this program has no interpreter.
    """
    path = [os.fsencode(entry) for entry in _import_path()]
    return [_interpreter(), "-P", "-c", _PROGRAM.format(path=path, module=module), argument]


def environment() -> Mapping[str, str]:
    """Return the environment of a child: that of this process, without the variables in `_HARMFUL`."""
    return {name: value for name, value in os.environ.items() if name not in _HARMFUL}


def run_module(module: str, argument: str) -> tuple[int, bytes]:
    """Run a module of the project; returns its exit code and its output."""
    done = subprocess.run(command_of(module, argument), env=environment(), stdout=subprocess.PIPE, check=False)  # noqa: S603
    return done.returncode, done.stdout


def start_module(module: str, argument: str) -> subprocess.Popen[bytes]:
    """Start a module of the project, with pipes to its standard input and from its output."""
    command = command_of(module, argument)
    return subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603


def _interpreter() -> str:
    """Return the path of this process's Python interpreter. Raises InvalidRequest if there is none.

    In a server that embeds Python, such as uWSGI, sys.executable is the server.
    """
    beside = os.path.join(sys.prefix, "bin", "python3")
    is_python = any(name in os.path.basename(sys.executable or "").lower() for name in ("python", "pypy"))
    if is_python and not getattr(sys, "frozen", False):
        return sys.executable
    if os.path.exists(beside) and not getattr(sys, "frozen", False):
        return beside
    raise InvalidRequest(
        "this program has no Python interpreter to run the processes of a cluster with: "
        "run `shardstore serve` separately, and connect to that"
    )


def _import_path() -> Sequence[str]:
    """Return the import path of this process, in the order for a child."""
    ours = {PACKAGES, *_places_of_the_needed()}
    path = dict.fromkeys([*map(os.path.abspath, sys.path), *sorted(ours)])
    library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}

    def place(entry: str) -> int:
        is_library = entry in library or os.path.basename(entry) in _PARTS_OF_THE_LIBRARY
        return 0 if is_library else 1 if entry in ours else 2

    return sorted(path, key=place)


def _places_of_the_needed() -> Iterator[str]:
    """Return the directories from which this process loaded the project's dependencies."""
    for name in NEEDED:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            yield os.path.dirname(os.path.dirname(file) if os.path.basename(file).startswith("__init__.") else file)
