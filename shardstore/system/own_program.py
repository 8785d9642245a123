"""How this project starts a process of its own: the interpreter and everything around it are those of this process.

The child sees the whole environment, and finds modules where this process does. Only the order is its own: first the
standard library, then the directories from which this process has the project and what it needs, then the rest. So a
`queue.py` or `lz4/` of the user, in the working directory or on PYTHONPATH, is not taken for the one that is meant.
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
"""The directory, or the archive, that holds this project."""
NEEDED = ("click", "lz4", "mmh3", "msgpack", "numpy", "psutil", "sortedcontainers", "xxhash", "zmq", "zstandard")
_HARMFUL = frozenset(("PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONWARNINGS"))
"""The assertions guard the data; a server must end when it ends; and a warning is no reason to end."""
_PARTS_OF_THE_LIBRARY = ("lib-dynload", f"python{sys.version_info[0]}{sys.version_info[1]}.zip")
_PROGRAM = """import os, sys
sys.path[:] = map(os.fsdecode, {path})
import runpy
runpy.run_module({module!r}, None, "__main__", True)"""


def command_of(module: str, argument: str) -> Sequence[str]:
    """The command that runs a module of the project. Paths are bytes in it: the child may have another locale.

    Raises InvalidRequest when this program has no interpreter.
    """
    path = [os.fsencode(entry) for entry in _import_path()]
    return [_interpreter(), "-P", "-c", _PROGRAM.format(path=path, module=module), argument]


def environment() -> Mapping[str, str]:
    """The variables of a child: those of this process, without the few that would change what it does."""
    return {name: value for name, value in os.environ.items() if name not in _HARMFUL}


def run_module(module: str, argument: str) -> tuple[int, bytes]:
    """Run a module of the project; answers its exit code, and what it printed."""
    done = subprocess.run(command_of(module, argument), env=environment(), stdout=subprocess.PIPE, check=False)  # noqa: S603
    return done.returncode, done.stdout


def _interpreter() -> str:
    """The Python of this process. A server that has one built in, as uWSGI has, names itself instead."""
    beside = os.path.join(sys.prefix, "bin", "python3")
    is_python = any(name in os.path.basename(sys.executable or "").lower() for name in ("python", "pypy"))
    if is_python and not getattr(sys, "frozen", False):
        return sys.executable
    if os.path.exists(beside) and not getattr(sys, "frozen", False):
        return beside
    raise InvalidRequest(
        "this program has no Python interpreter to run the processes of a cluster with: "
        "run `shardstore serve` beside it, and connect to that"
    )


def _import_path() -> Sequence[str]:
    """Where this process finds modules, in the order that suits a child."""
    ours = {PACKAGES, *_places_of_the_needed()}
    path = dict.fromkeys([*map(os.path.abspath, sys.path), *sorted(ours)])
    library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}

    def place(entry: str) -> int:
        is_library = entry in library or os.path.basename(entry) in _PARTS_OF_THE_LIBRARY
        return 0 if is_library else 1 if entry in ours else 2

    return sorted(path, key=place)


def _places_of_the_needed() -> Iterator[str]:
    """The directories from which this process has what the project needs."""
    for name in NEEDED:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            yield os.path.dirname(os.path.dirname(file) if os.path.basename(file).startswith("__init__.") else file)
