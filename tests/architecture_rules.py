"""The architecture as data: architecture_check.py compares modules with it, test_architecture.py does so for all.

A module is named as Python names it; a script is `scripts.<name>`. A name in a table stands for the module and,
if it is a package, for all that lies in it; the longest matching name counts.
"""

from __future__ import annotations

# --- Parts: who may know whom ---------------------------------------------------------------------------------------
# router and workers meet in the messages of the foundation only.

PUBLIC = "shardstore"
"""shardstore/__init__.py itself: the public API."""

PARTS: dict[str, tuple[str, ...]] = {
    # part: the parts it may import beside itself
    "foundation": (),
    "tables": ("foundation",),
    "client": ("foundation", "tables"),
    "cluster": ("foundation", "client"),
    "public": ("foundation", "client", "cluster"),
    "command line": ("foundation", "client", "cluster", "public"),
    "router": ("foundation",),
    "workers": ("foundation", "tables"),
    "scripts": ("foundation", "client", "cluster", "public", "command line"),
}

PART_OF: dict[str, str] = {
    "shardstore.tables": "tables",
    "shardstore.client": "client",
    "shardstore.cluster": "cluster",
    "shardstore.cli": "command line",
    "shardstore.__main__": "command line",
    "shardstore.router": "router",
    "shardstore.workers": "workers",
    "scripts": "scripts",
}
"""Everything else in shardstore is the foundation."""

# --- Layers: imports point downward ---------------------------------------------------------------------------------
# values and formats < cores < shells < scripts. What is in no table is a core.

VALUES: tuple[str, ...] = (
    "shardstore.seams",
    "shardstore.wire",
    "shardstore.files",
    *("shardstore.checksum", "shardstore.errors", "shardstore.identifiers", "shardstore.key_range"),
    *("shardstore.lazy_numpy", "shardstore.limits", "shardstore.memory_plan", "shardstore.options"),
    *("shardstore.outcome", "shardstore.segment_options", "shardstore.stats_schema", "shardstore.topology_options"),
)

SHELLS: dict[str, str] = {
    # module or package: what it touches
    "shardstore": "the public API: exports clients and clusters",
    "shardstore.__main__": "the terminal",
    "shardstore.system": "the operating system",
    "shardstore.cli": "the terminal",
    "shardstore.cluster": "processes and the directories they share",
    "shardstore.client.blocking": "threads",
    "shardstore.client.aio": "the asyncio loop",
    "shardstore.client.forking": "what the operating system calls in the child of a fork",
    "shardstore.client.opening": "makes the real surroundings of a client's core",
    "shardstore.client.finding": "reads what is announced",
    "shardstore.client.host_name": "asks the resolver of this host, in a thread",
    "shardstore.client.probing": "sockets and directories, to see who is there",
    "shardstore.router.__main__": "arguments",
    "shardstore.router.runtime": "makes the real surroundings of the router's core",
    "shardstore.workers.__main__": "arguments",
    "shardstore.workers.runtime": "makes the real surroundings of the worker's core",
    "shardstore.workers.inspection.__main__": "the terminal",
    "shardstore.workers.sync_thread": "the thread that syncs the WAL",
    "shardstore.workers.maintenance.__main__": "arguments; runs jobs",
    "shardstore.workers.maintenance.channel": "the socket between worker and maintenance process",
    "shardstore.workers.maintenance.side_by_side": "threads",
    "shardstore.workers.maintenance.process": "starts and watches the maintenance process",
}

# --- Names: what may be imported and called where --------------------------------------------------------------------

CORE_MAY_IMPORT: frozenset[str] = frozenset(
    # Nothing here reads a clock, a file, a socket or a random number, or starts a thread or a process.
    (
        *("__future__", "bisect", "collections", "contextlib", "dataclasses", "enum", "functools", "heapq"),
        *("itertools", "json", "math", "operator", "re", "struct", "types", "typing", "weakref"),
        *("lz4", "msgpack", "mmh3", "numpy", "sortedcontainers", "xxhash", "zstandard"),
    )
)
"""Beside the modules of this project. All else is closed to values and cores."""

CORE_MAY_NOT_CALL: dict[str, str] = {
    "open": "files go through the filesystem seam",
    "print": "a core has no terminal",
    "input": "a core has no terminal",
    "hash": "differs between processes with another PYTHONHASHSEED",
    "id": "differs between processes",
}

NOBODY_MAY_IMPORT: dict[str, str] = {
    "pickle": "runs code from bytes",
    "marshal": "runs code from bytes",
    "shelve": "is pickle",
    "dill": "is pickle",
    "cloudpickle": "is pickle",
    "tests": "tests stand above everything",
}

NOBODY_MAY_CALL: dict[str, str] = {
    "eval": "runs code from text",
    "exec": "runs code from text",
    "__import__": "hides an import from this check",
    "import_module": "hides an import from this check",
    "importlib.import_module": "hides an import from this check",
}

ONLY_IN: dict[str, tuple[str, ...]] = {
    # import: the only modules of shardstore, router and workers that may have it
    "zmq": ("shardstore.system.socket_transport", "shardstore.system.zmq_links"),
    "select": ("shardstore.system.readiness",),
    "time": ("shardstore.system.system_clock",),
    "datetime": (),
    "random": ("shardstore.system.system_entropy",),
    "uuid": (),
    "secrets": (),
    "fcntl": ("shardstore.system.posix_filesystem",),
    "mmap": ("shardstore.system.posix_filesystem",),
    "multiprocessing": (),
}

FILE_MODULES: frozenset[str] = frozenset(("pathlib", "shutil", "tempfile", "glob", "io"))
FILE_CALLS: frozenset[str] = frozenset(
    (
        *("open", "os.open", "os.fsync", "os.fdatasync", "os.truncate", "os.ftruncate", "os.pread", "os.preadv"),
        *("os.pwrite", "os.pwritev", "os.sendfile", "os.posix_fadvise", "os.posix_fallocate", "os.rename"),
        *("os.replace", "os.remove", "os.unlink", "os.link", "os.symlink", "os.mkdir", "os.makedirs", "os.rmdir"),
        *("os.removedirs", "os.listdir", "os.scandir", "os.walk", "os.stat", "os.utime", "os.chmod", "os.fdopen"),
    )
)
"""With the modules above and fcntl and mmap: the ways to a file. Scripts are free to use them."""

FILES_MAY_BE_TOUCHED_BY: dict[str, str] = {
    "shardstore.system.own_program": "finds where the packages are installed",
    "shardstore.system.posix_filesystem": "is the way to the store's files",
    "shardstore.system.socket_transport": "wraps an eventfd, which is no file",
    "shardstore.system.listener": "removes the socket of a dead process, and holds a spare descriptor",
    "shardstore.cli.output": "the terminal, and /dev/null in its place",
    "shardstore.cluster.child_process": "wraps the pipe on which a child reports",
    "shardstore.cluster.data_directory": "takes the path of the store from the caller",
    "shardstore.client.probing": "looks whose a socket is",
    "shardstore.system.socket_file": "makes the directory of the sockets, and says whom they let in",
    "shardstore.system.process_identity": "reads what the system says of a process",
    "shardstore.system.running_cluster": "reads ENDPOINT of a store that another process holds",
    "shardstore.cluster.runtime_directory": "makes the directory of the sockets, which is not in the store",
    "shardstore.cluster.socket_place": "takes the path of the socket from the caller",
    "shardstore.cluster.settings": "takes the path of the store from the caller",
}

# --- Fields: who may write them ---------------------------------------------------------------------------------------

WRITES_ITSELF: dict[str, str] = {
    # module: its class of which only methods write fields
    "shardstore.workers.ranges.owned_range": "OwnedRange",
}
"""Types are not followed: modules that import the class write no field of such a name, but their own."""

# --- Sizes ----------------------------------------------------------------------------------------------------------

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
