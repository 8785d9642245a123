"""The architecture as data. architecture_check.py checks modules against it; test_architecture.py checks all modules.

Modules have their Python names; a script is `scripts.<name>`. A name in a table stands for the module and, if it is a
package, for everything in it. The longest matching name counts.
"""

from __future__ import annotations

# --- Parts: which parts a part may import ---------------------------------------------------------------------------
# router and workers share only the messages in the foundation.

PUBLIC = "shardstore"
"""shardstore/__init__.py itself: the public API."""

PARTS: dict[str, tuple[str, ...]] = {
    # part: the other parts it may import
    "foundation": (),
    "tables": ("foundation",),
    "spaces": ("foundation",),
    "exchange": ("foundation", "spaces", "client"),
    "client": ("foundation", "tables", "spaces"),
    "cluster": ("foundation", "client"),
    "public": ("foundation", "spaces", "client", "cluster"),
    "doctor": ("foundation", "tables", "spaces", "router", "workers", "cluster"),
    "command line": ("foundation", "client", "cluster", "public", "doctor", "exchange"),
    "router": ("foundation",),
    "workers": ("foundation", "tables"),
    "scripts": ("foundation", "client", "cluster", "public", "command line"),
}

PART_OF: dict[str, str] = {
    "shardstore.tables": "tables",
    "shardstore.spaces": "spaces",
    "shardstore.client": "client",
    "shardstore.exchange": "exchange",
    "shardstore.cluster": "cluster",
    "shardstore.doctor": "doctor",
    "shardstore.cli": "command line",
    "shardstore.__main__": "command line",
    "shardstore.router": "router",
    "shardstore.workers": "workers",
    "scripts": "scripts",
}
"""Everything else in shardstore belongs to the foundation."""

# --- Layers: imports point downward ---------------------------------------------------------------------------------
# values and formats < cores < shells < scripts. A module that is in no table is a core.

VALUES: tuple[str, ...] = (
    "shardstore.seams",
    "shardstore.wire",
    "shardstore.files",
    "shardstore.keys",
    "shardstore.values",
    *("shardstore.checksum", "shardstore.client_role", "shardstore.compression", "shardstore.errors"),
    *("shardstore.estimate", "shardstore.identifiers", "shardstore.key_range"),
    *("shardstore.lazy_numpy", "shardstore.limits", "shardstore.memory_plan", "shardstore.options"),
    *(
        "shardstore.outcome",
        "shardstore.client_role",
        "shardstore.segment_options",
        "shardstore.stats_schema",
        "shardstore.topology_options",
    ),
)

SHELLS: dict[str, str] = {
    # module or package: the part of the outside world that it uses
    "shardstore": "the public API: exports clients and clusters",
    "shardstore.__main__": "the terminal",
    "shardstore.system": "the operating system",
    "shardstore.access.private_files": "files with keys, which only their owner may read",
    "shardstore.access.client_keys": "files with keys, which only their owner may read",
    "shardstore.access.key_store": "files with keys, which only their owner may read",
    "shardstore.access.doorkeeper": "files with keys, which change while a process runs",
    "shardstore.cli": "the terminal",
    "shardstore.cluster": "processes and the directories they share",
    "shardstore.client.blocking": "threads",
    "shardstore.client.aio": "the asyncio loop",
    "shardstore.client.fork_hook": "the hook that the operating system calls in the child of a fork",
    "shardstore.client.surroundings": "makes the real surroundings of a client's core",
    "shardstore.client.open_reader": "opens the files of a store for direct reads",
    "shardstore.client.store_finder": "reads the announcements of clusters",
    "shardstore.client.host_name": "asks the resolver of this host, in a thread",
    "shardstore.client.endpoint_probe": "sockets and directories, to see whether a cluster is there",
    "shardstore.doctor.__main__": "arguments",
    "shardstore.doctor.examination": "reads the identity of the store, and has checks done",
    "shardstore.doctor.offline": "the directory of a store, which it locks",
    "shardstore.doctor.side_by_side": "processes and threads",
    "shardstore.exchange.exporting": "the file that a user names",
    "shardstore.exchange.importing": "the file that a user names",
    "shardstore.exchange.parquet": "pyarrow, and the file that a user names",
    "shardstore.exchange.forms": "the file that a user names",
    "shardstore.exchange.sections": "the blocking client",
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
        *("lz4", "msgpack", "mmh3", "nacl", "numpy", "sortedcontainers", "xxhash", "zstandard"),
    )
)
"""The modules that values and cores may import, in addition to those of this project."""

CORE_MAY_NOT_CALL: dict[str, str] = {
    "open": "files go through the filesystem seam",
    "print": "a core has no terminal",
    "input": "a core has no terminal",
    "hash": "differs between processes with another PYTHONHASHSEED",
    "id": "differs between processes",
    **dict.fromkeys(("datetime.now", "datetime.utcnow", "datetime.today", "date.today"), "reads the clock"),
    **dict.fromkeys(("uuid1", "uuid.uuid1"), "reads the clock and the address of the host"),
    **dict.fromkeys(("uuid4", "uuid.uuid4"), "draws random numbers"),
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
    "mmap": ("shardstore.system.posix_filesystem", "shardstore.system.board_files"),
    "multiprocessing": (),
}

MAY_IMPORT_ALL_THE_SAME: dict[tuple[str, str], str] = {
    # module, import: why this module alone may have it, against all rules above
    ("shardstore.client.calls.ends", "datetime"): "users say so when a value expires; it asks for no time",
    ("shardstore.exchange.json_keys", "datetime"): "users have keys of these types; it asks for no time",
    ("shardstore.exchange.json_keys", "uuid"): "users have keys of this type; it makes none but from text",
    ("shardstore.exchange.parquet", "uuid"): "the same, from bytes",
    ("shardstore.ends", "datetime"): "users say so when a value expires; it asks for no time",
    ("shardstore.keys.elements.moments", "datetime"): "users have keys of these types; it asks for no time",
    ("shardstore.keys.elements.uuids", "uuid"): "users have keys of this type; it makes none but from bytes",
    ("shardstore.keys.plain", "uuid"): "the same",
    ("shardstore.values.pickled", "pickle"): "the codec that users must ask for by name, and are warned of",
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
"""With the modules above, fcntl and mmap, these are the ways to use files. Scripts may use all of them."""

FILES_MAY_BE_TOUCHED_BY: dict[str, str] = {
    "shardstore.system.own_program": "finds where the packages are installed",
    "shardstore.system.posix_filesystem": "is the way to the store's files",
    "shardstore.system.board_files": "maps boards, which are not files of the store, and the files that name them",
    "shardstore.system.socket_transport": "wraps an eventfd, which is not a file",
    "shardstore.system.door": "removes the socket of a dead process, and holds a spare descriptor",
    "shardstore.cli.output": "the terminal, and /dev/null to replace it",
    "shardstore.cluster.child_process": "wraps the pipe on which a child reports",
    "shardstore.cluster.data_directory": "takes the path of the store from the caller",
    "shardstore.client.endpoint_probe": "checks the owner of a socket",
    "shardstore.access.private_files": "reads and makes key files, wherever their owner wants them",
    "shardstore.access.doorkeeper": "notices that the list of keys has changed",
    "shardstore.system.socket_file": "makes the directory of the sockets, and sets their permissions",
    "shardstore.system.process_identity": "reads facts about a process from the system",
    "shardstore.system.running_cluster": "reads ENDPOINT of a store that another process holds",
    "shardstore.cluster.runtime_directory": "makes the directory of the sockets, which is not in the store",
    "shardstore.cluster.socket_place": "takes the path of the socket from the caller",
    "shardstore.cluster.settings": "takes the path of the store from the caller",
    "shardstore.exchange.exporting": "writes the file that the user names, which is not in the store",
    "shardstore.exchange.importing": "keeps how far it came beside the file that the user names",
    "shardstore.exchange.parquet": "writes the file that the user names, which is not in the store",
    "shardstore.cli.exchange": "opens the file that the user names",
}

# --- Fields: which modules may write them -----------------------------------------------------------------------------

WRITES_ITSELF: dict[str, str] = {
    # module: the class in it whose fields only its own methods write
    "shardstore.workers.ranges.owned_range": "OwnedRange",
}
"""The check ignores types: modules that import the class may write a field with such a name only on `self`."""

# --- Names: which functions may be defined twice ----------------------------------------------------------------------

FUNCTION_NAMES_FOR_ALL: dict[str, str] = {
    # name: why several modules may have a public function of this name
    "main": "each program has one",
    "run": "the shells and the jobs have one each, and callers name the module",
    "encode": "the same for another format",
    "decode": "the same for another format",
    "decode_header": "the same for another format",
}
NAMES_ITS_COMMANDS = "shardstore.cli"
"""Its functions are commands and have their names, which are also those of operations."""

# --- Sizes ----------------------------------------------------------------------------------------------------------

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
