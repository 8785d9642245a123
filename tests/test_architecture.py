"""The project keeps the rules of architecture_rules.py, and the check finds who does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import architecture_rules as rules
from tests.architecture_check import Module, check, check_cycles, check_module, read_modules

RULES = ["parts", "layers", "cycles", "imports", "calls", "files", "sizes", "docstrings"]
MODULES = read_modules(Path(__file__).parent.parent)


@pytest.fixture(scope="module")
def breaches() -> dict[str, list[str]]:
    found = check(MODULES)
    return {rule: [str(finding) for finding in found if finding.rule == rule] for rule in RULES}


@pytest.mark.parametrize("rule", RULES)
def test_the_project_keeps_the_rule(rule: str, breaches: dict[str, list[str]]) -> None:
    assert not breaches[rule], f"{len(breaches[rule])} breaches of the rule on {rule}:\n" + "\n".join(breaches[rule])


@pytest.mark.parametrize(
    "table", ["VALUES", "SHELLS", "FILES_MAY_BE_TOUCHED_BY", "PART_OF"], ids=lambda table: table.lower()
)
def test_the_rules_name_modules_that_exist(table: str) -> None:
    assert [name for name in getattr(rules, table) if name not in MODULES and name != "scripts"] == []


def test_the_modules_were_found() -> None:
    assert {"shardstore", "shardstore.limits", "router.core", "workers.core"} <= MODULES.keys()


@pytest.mark.parametrize(
    ("rule", "name", "source", "what"),
    [
        ("parts", "router.planted", "import workers.core", "router imports workers.core, which is workers"),
        ("parts", "workers.planted", "from router import core", "workers imports router.core, which is router"),
        ("parts", "router.planted", "import shardstore", "router imports shardstore, which is public"),
        ("parts", "workers.planted", "from shardstore import cli", "workers imports shardstore.cli"),
        ("parts", "router.planted", "import shardstore.client.session", "which is client"),
        ("parts", "shardstore.client.planted", "import shardstore.cluster", "client imports shardstore.cluster"),
        ("parts", "shardstore.planted", "import shardstore.client", "foundation imports shardstore.client"),
        ("parts", "router.planted", "def f():\n    import workers", "router imports workers"),
        ("parts", "router.planted", "from .core import RouterCore", "imports are absolute"),
        ("parts", "router.planted", "import scripts.bootstrap", "which is scripts"),
        ("parts", "shardstore.cli", "import bootstrap", "imports scripts.bootstrap"),
        ("layers", "shardstore.limits", "import router.core", "one of the values and formats imports"),
        ("layers", "router.planted", "from router.runtime import run", "one of the cores imports router.runtime"),
        ("layers", "router.planted", "import shardstore.socket_transport", "one of the shells"),
        ("layers", "workers.planted", "import shardstore.event_loop", "one of the shells"),
        ("imports", "router.planted", "import zmq", "for shardstore.socket_transport, shardstore.zmq_links only"),
        ("imports", "router.runtime", "import zmq.asyncio", "imports zmq.asyncio, which is for shardstore"),
        ("imports", "router.runtime", "import time", "for shardstore.system_clock only"),
        ("imports", "shardstore.cli", "from random import random", "for scripts only"),
        ("imports", "shardstore.cli", "import secrets", "for shardstore.system_entropy only"),
        ("imports", "shardstore.cli", "import mmap", "for shardstore.posix_filesystem only"),
        *(
            ("imports", "workers.planted", f"import {banned}", f"imports {banned}")
            for banned in (
                *("os", "os.path", "threading", "asyncio", "signal", "subprocess", "psutil", "click", "rich.live"),
                *("time", "random", "uuid", "secrets", "socket", "zmq", "queue", "logging", "sys", "ctypes"),
            )
        ),
        ("imports", "scripts.planted", "import pickle", "runs code from bytes"),
        ("imports", "workers.planted", "from marshal import loads", "runs code from bytes"),
        ("imports", "shardstore.cli", "import tests.unit", "tests stand above everything"),
        ("calls", "scripts.planted", "eval('1')", "calls eval"),
        ("calls", "shardstore.cli", "exec('x = 1')", "calls exec"),
        ("calls", "shardstore.cli", "importlib.import_module('pickle')", "hides an import"),
        ("calls", "router.planted", "open('file')", "calls open"),
        ("calls", "router.planted", "hash(b'key')", "PYTHONHASHSEED"),
        ("files", "router.runtime", "open('file')", "calls open"),
        ("files", "workers.runtime", "import os\nos.rename('a', 'b')", "line 2: calls os.rename"),
        ("files", "shardstore.process", "from pathlib import Path", "imports pathlib"),
        ("sizes", "router.planted", "x = 1\n" * 401, "401 lines; a file has at most 400"),
        ("sizes", "router.planted", "def long():\n" + "    x = 1\n" * 60, "long has 61 lines"),
        ("docstrings", "router.planted", "x = 1", "the module has no docstring"),
        ("docstrings", "router.planted", "def public(): ...", "public has no docstring"),
        ("docstrings", "router.planted", "class Public: ...", "Public has no docstring"),
        ("docstrings", "router.planted", "class C:\n    'd'\n    async def run(self): ...", "line 3: run has no"),
    ],
)
def test_a_planted_breach_is_found(rule: str, name: str, source: str, what: str) -> None:
    found = [str(finding) for finding in check_module(Module.parse(name, source), MODULES) if finding.rule == rule]
    assert any(what in finding for finding in found), found


def test_a_planted_cycle_is_found() -> None:
    planted = {
        name: Module.parse(name, f"import {imported}")
        for name, imported in (("router.a", "router.b"), ("router.b", "router.c"), ("router.c", "router.a"))
    }
    assert [finding.what for finding in check(planted) if finding.rule == "cycles"] == [
        "imports itself: router.a -> router.b -> router.c -> router.a"
    ]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("router.planted", "import numpy as np\nfrom collections.abc import Iterator\nfrom shardstore import limits"),
        ("router.runtime", "import threading\nimport os\nos.pipe()\nfrom router.core import RouterCore"),
        ("scripts.planted", "import time, os, pathlib\nimport shardstore\nimport bootstrap\nopen('f')"),
        ("shardstore.cli", "import shardstore\nfrom shardstore.cluster import serve\nimport click"),
        ("router.planted", "def _private(): ...\nclass _Private:\n    def run(self): ...\n    def __len__(self): ..."),
        ("router.planted", "re.compile('x')\nregistry.eval()\nself.open()"),
    ],
)
def test_what_is_allowed_is_not_found(name: str, source: str) -> None:
    assert check_module(Module.parse(name, f'"""A module."""\n{source}\n'), MODULES) == []


def test_an_import_for_the_type_checker_makes_no_cycle() -> None:
    sources = {"router.a": "import router.b", "router.b": "if TYPE_CHECKING:\n    import router.a"}
    assert check_cycles({name: Module.parse(name, source) for name, source in sources.items()}) == []
