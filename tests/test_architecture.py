"""The project keeps the rules of architecture_rules.py, and the check finds modules that break them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import architecture_rules as rules
from tests.architecture_check import (
    Module,
    check,
    check_cycles,
    check_fields,
    check_module,
    check_names,
    imports_of,
    read_modules,
)

ROUTER = "shardstore.router"
WORKERS = "shardstore.workers"
RULES = ["parts", "layers", "cycles", "folders", "fields", "names", "imports", "calls", "files", "sizes", "docstrings"]
MODULES = read_modules(Path(__file__).parent.parent)


@pytest.fixture(scope="module")
def breaches() -> dict[str, list[str]]:
    found = check(MODULES)
    return {rule: [str(finding) for finding in found if finding.rule == rule] for rule in RULES}


@pytest.mark.parametrize("rule", RULES)
def test_the_project_keeps_the_rule(rule: str, breaches: dict[str, list[str]]) -> None:
    assert not breaches[rule], f"{len(breaches[rule])} breaches of the rule on {rule}:\n" + "\n".join(breaches[rule])


@pytest.mark.parametrize(
    "table",
    ["VALUES", "SHELLS", "FILES_MAY_BE_TOUCHED_BY", "PART_OF", "WRITES_ITSELF"],
    ids=lambda table: table.lower(),
)
def test_the_rules_name_modules_that_exist(table: str) -> None:
    assert [name for name in getattr(rules, table) if name not in MODULES and name != "scripts"] == []


def test_what_a_module_may_import_all_the_same_is_imported_there_and_forbidden_elsewhere() -> None:
    for name, imported in rules.MAY_IMPORT_ALL_THE_SAME:
        assert imported in {each.target for each in imports_of(MODULES[name], MODULES)}
        assert imported in {*rules.NOBODY_MAY_IMPORT, *rules.ONLY_IN}


def test_the_modules_were_found() -> None:
    assert {"shardstore", "shardstore.limits", "shardstore.router.core", "shardstore.workers.core"} <= MODULES.keys()


@pytest.mark.parametrize(
    ("rule", "name", "source", "what"),
    [
        (
            "parts",
            f"{ROUTER}.planted",
            "import shardstore.workers.core",
            "router imports shardstore.workers.core, which is workers",
        ),
        (
            "parts",
            f"{WORKERS}.planted",
            "from shardstore.router import core",
            "workers imports shardstore.router.core, which is router",
        ),
        ("parts", f"{ROUTER}.planted", "import shardstore", "router imports shardstore, which is public"),
        ("parts", f"{WORKERS}.planted", "from shardstore import cli", "workers imports shardstore.cli"),
        ("parts", f"{ROUTER}.planted", "import shardstore.client.session.session", "which is client"),
        (
            "parts",
            "shardstore.tables.planted",
            "import shardstore.workers.segment.manifest_writer",
            "tables imports shardstore.workers.segment.manifest_writer, which is workers",
        ),
        ("parts", "shardstore.client.planted", "import shardstore.cluster", "client imports shardstore.cluster"),
        ("parts", "shardstore.planted", "import shardstore.client", "foundation imports shardstore.client"),
        (
            "parts",
            f"{ROUTER}.planted",
            "def f():\n    import shardstore.workers",
            "router imports shardstore.workers",
        ),
        ("parts", f"{ROUTER}.planted", "from .core import RouterCore", "imports are absolute"),
        ("parts", f"{ROUTER}.planted", "import scripts.bootstrap", "which is scripts"),
        ("parts", "shardstore.cli.commands", "import bootstrap", "imports scripts.bootstrap"),
        ("layers", "shardstore.limits", "import shardstore.router.core", "one of the values and formats imports"),
        (
            "layers",
            f"{ROUTER}.planted",
            "from shardstore.router.runtime import run",
            "one of the cores imports shardstore.router.runtime",
        ),
        ("layers", f"{ROUTER}.planted", "import shardstore.system.socket_transport", "one of the shells"),
        ("layers", f"{WORKERS}.planted", "import shardstore.system.event_loop", "one of the shells"),
        (
            "imports",
            f"{ROUTER}.planted",
            "import zmq",
            "for shardstore.system.socket_transport, shardstore.system.zmq_links only",
        ),
        ("imports", f"{ROUTER}.runtime", "import zmq.asyncio", "imports zmq.asyncio, which is for shardstore"),
        ("imports", f"{ROUTER}.runtime", "import time", "for shardstore.system.system_clock only"),
        (
            "imports",
            "shardstore.cli.commands",
            "from random import random",
            "for shardstore.system.system_entropy only",
        ),
        ("imports", "shardstore.cli.commands", "import secrets", "for scripts only"),
        ("imports", "shardstore.cli.commands", "import mmap", "for shardstore.system.posix_filesystem"),
        *(
            ("imports", f"{WORKERS}.planted", f"import {banned}", f"imports {banned}")
            for banned in (
                *("os", "os.path", "threading", "asyncio", "signal", "subprocess", "psutil", "click", "rich.live"),
                *("time", "random", "uuid", "secrets", "socket", "zmq", "queue", "logging", "sys", "ctypes"),
            )
        ),
        ("imports", "scripts.planted", "import pickle", "runs code from bytes"),
        ("imports", f"{WORKERS}.planted", "from marshal import loads", "runs code from bytes"),
        ("imports", "shardstore.values.planted", "import pickle", "runs code from bytes"),
        ("imports", "shardstore.values.pickled", "import marshal", "runs code from bytes"),
        ("imports", "shardstore.keys.elements.planted", "import datetime", "which is for scripts only"),
        ("imports", "shardstore.keys.elements.moments", "import uuid", "which is for scripts only"),
        ("imports", "shardstore.cli.commands", "import tests.unit", "tests stand above everything"),
        ("calls", "scripts.planted", "eval('1')", "calls eval"),
        ("calls", "shardstore.cli.commands", "exec('x = 1')", "calls exec"),
        ("calls", "shardstore.cli.commands", "importlib.import_module('pickle')", "hides an import"),
        ("calls", f"{ROUTER}.planted", "open('file')", "calls open"),
        ("calls", f"{ROUTER}.planted", "hash(b'key')", "PYTHONHASHSEED"),
        ("calls", "shardstore.keys.elements.moments", "datetime.now()", "reads the clock"),
        ("calls", "shardstore.keys.elements.uuids", "uuid4()", "draws random numbers"),
        ("files", f"{ROUTER}.runtime", "open('file')", "calls open"),
        ("files", "shardstore.workers.runtime", "import os\nos.rename('a', 'b')", "line 2: calls os.rename"),
        ("files", "shardstore.system.process", "from pathlib import Path", "imports pathlib"),
        ("sizes", f"{ROUTER}.planted", "x = 1\n" * 401, "401 lines; a file has at most 400"),
        ("sizes", f"{ROUTER}.planted", "def long():\n" + "    x = 1\n" * 60, "long has 61 lines"),
        ("docstrings", f"{ROUTER}.planted", "x = 1", "the module has no docstring"),
        ("docstrings", f"{ROUTER}.planted", "def public(): ...", "public has no docstring"),
        ("docstrings", f"{ROUTER}.planted", "class Public: ...", "Public has no docstring"),
        (
            "docstrings",
            f"{ROUTER}.planted",
            "class C:\n    'd'\n    async def run(self): ...",
            "line 3: run has no",
        ),
    ],
)
def test_a_planted_breach_is_found(rule: str, name: str, source: str, what: str) -> None:
    found = [str(finding) for finding in check_module(Module.parse(name, source), MODULES) if finding.rule == rule]
    assert any(what in finding for finding in found), found


def test_a_planted_cycle_is_found() -> None:
    planted = {
        name: Module.parse(name, f"import {imported}")
        for name, imported in (
            (f"{ROUTER}.a", f"{ROUTER}.b"),
            ("shardstore.router.b", "shardstore.router.c"),
            (f"{ROUTER}.c", f"{ROUTER}.a"),
        )
    }
    assert [finding.what for finding in check(planted) if finding.rule == "cycles"] == [
        f"imports itself: {ROUTER}.a -> {ROUTER}.b -> {ROUTER}.c -> {ROUTER}.a"
    ]


def test_a_planted_circle_of_folders_is_found() -> None:
    planted = {
        name: Module.parse(name, source)
        for name, source in (
            (f"{WORKERS}.a.one", f"import {WORKERS}.b.two"),
            (f"{WORKERS}.b.two", ""),
            (f"{WORKERS}.b.three", f"if TYPE_CHECKING:\n    from {WORKERS}.c import four"),
            (f"{WORKERS}.c.four", f"import {WORKERS}.a.one"),
        )
    }
    found = [finding.what for finding in check(planted) if finding.rule == "folders"]
    assert found[0] == f"needs itself: {WORKERS}.a -> {WORKERS}.b -> {WORKERS}.c -> {WORKERS}.a"


def test_a_planted_folder_that_needs_the_folder_around_it_is_found() -> None:
    planted = {
        name: Module.parse(name, source)
        for name, source in (
            (f"{WORKERS}.core", f"import {WORKERS}.a.one"),
            (f"{WORKERS}.a.one", f"if TYPE_CHECKING:\n    from {WORKERS} import names"),
            (f"{WORKERS}.names", ""),
        )
    }
    found = [finding.what for finding in check(planted) if finding.rule == "folders"]
    assert found == [f"{WORKERS}.core needs {WORKERS}.a, which needs {WORKERS}.names"]


@pytest.mark.parametrize(
    ("one", "other", "twice"),
    [
        ("class Planted: ...", "class Planted: ...", ["Planted"]),
        ("class _Planted: ...", "def f():\n    class _Planted: ...", ["_Planted"]),
        ("class Planted: ...", "Planted: TypeAlias = int | str", ["Planted"]),
        ("class Planted: ...", "import Planted\nOther: TypeAlias = Planted", []),
        ("def planted(): ...", "def planted(): ...", ["planted"]),
        ("def planted(): ...", "async def planted(): ...", ["planted"]),
        ("def _planted(): ...", "def _planted(): ...", []),
        ("def planted(): ...", "class C:\n    def planted(self): ...", []),
        ("def run(): ...", "def run(): ...", []),
        ("def encode(): ...", "def encode(): ...", []),
    ],
)
def test_a_planted_name_of_another_module_is_found(one: str, other: str, twice: list[str]) -> None:
    sources = {f"{ROUTER}.one": one, f"{WORKERS}.other": other, "scripts.other": other}
    found = check_names({name: Module.parse(name, source) for name, source in sources.items()})
    assert [(finding.module, finding.what) for finding in found] == [
        (f"{WORKERS}.other", f"defines {name}, as {ROUTER}.one does") for name in twice
    ]


def test_a_command_may_have_the_name_of_an_operation() -> None:
    sources = dict.fromkeys((f"{ROUTER}.one", "shardstore.cli.other"), "def planted(): ...")
    assert check_names({name: Module.parse(name, source) for name, source in sources.items()}) == []


@pytest.mark.parametrize(
    "line",
    ["owned.role = 1", "owned.writes += 1", "scan.owned.role = 1", "writes, owned.role = 1, 2", "del owned.role"],
)
def test_a_planted_write_to_a_field_of_a_range_is_found(line: str) -> None:
    assert fields_written_by(line) == [
        f"writes {'scan.' * ('scan' in line)}owned.{'writes' if '+' in line else 'role'}"
    ]


@pytest.mark.parametrize("line", ["self.role = 1", "owned.name = 1", "owned.role.name = 1", "role = owned.role"])
def test_other_writes_are_not_taken_for_those_to_a_field_of_a_range(line: str) -> None:
    assert fields_written_by(line) == []


def fields_written_by(line: str) -> list[str]:
    """The breaches found for this line in a module that imports OwnedRange."""
    home = f"{WORKERS}.ranges.owned_range"
    sources = {
        home: "class OwnedRange:\n    role: int\n    writes: int = 0",
        f"{WORKERS}.planted": f"from {home} import OwnedRange\n{line}",
        f"{WORKERS}.stranger": line,
    }
    found = check_fields({name: Module.parse(name, source) for name, source in sources.items()})
    assert {finding.module for finding in found} <= {f"{WORKERS}.planted"}
    return [finding.what.removesuffix(", a field of OwnedRange") for finding in found]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            f"{ROUTER}.planted",
            "import numpy as np\nfrom collections.abc import Iterator\nfrom shardstore import limits",
        ),
        (
            f"{ROUTER}.runtime",
            "import threading\nimport os\nos.pipe()\nfrom shardstore.router.core import RouterCore",
        ),
        ("scripts.planted", "import time, os, pathlib\nimport shardstore\nimport bootstrap\nopen('f')"),
        ("shardstore.cli.commands", "import shardstore\nfrom shardstore.cluster import serve\nimport click"),
        (
            f"{ROUTER}.planted",
            "def _private(): ...\nclass _Private:\n    def run(self): ...\n    def __len__(self): ...",
        ),
        (f"{ROUTER}.planted", "re.compile('x')\nregistry.eval()\nself.open()"),
    ],
)
def test_what_is_allowed_is_not_found(name: str, source: str) -> None:
    assert check_module(Module.parse(name, f'"""A module."""\n{source}\n'), MODULES) == []


def test_an_import_for_the_type_checker_makes_no_cycle() -> None:
    sources = {
        f"{ROUTER}.a": f"import {ROUTER}.b",
        f"{ROUTER}.b": f"if TYPE_CHECKING:\n    import {ROUTER}.a",
    }
    assert check_cycles({name: Module.parse(name, source) for name, source in sources.items()}) == []
