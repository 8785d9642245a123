"""The modules that pyproject.toml names for mypyc are there, and mypyc accepts them."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
MODULES = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["shardstore"]["compiled"]
PUBLIC = ("client/aio/", "client/blocking/client", "client/blocking/scan", "client/blocking/admin", "client/calls/arg")
"""They check what callers pass, whose types compiled code would refuse in its own words."""
TRANSLATE = """import sys
from mypyc.build import mypyc_build
from mypyc.options import CompilerOptions
mypyc_build(sys.argv[1:], CompilerOptions(target_dir="c"))"""


def test_the_modules_are_there_once_and_in_order() -> None:
    files = [f"{module.replace('.', '/')}.py" for module in MODULES]
    assert [file for file in files if not (PROJECT / file).is_file()] == []
    assert sorted(set(MODULES)) == MODULES


def test_what_a_user_calls_stays_interpreted() -> None:
    assert [
        module for module in MODULES if module.replace(".", "/").startswith(tuple(f"shardstore/{p}" for p in PUBLIC))
    ] == []


def test_no_interpreted_class_has_a_base_that_is_compiled() -> None:
    """An instance of such a class could not be made."""
    assert list(chain.from_iterable(map(compiled_bases, interpreted_files()))) == []


def interpreted_files() -> Iterator[Path]:
    """All modules of the product but those that are compiled."""
    compiled = {PROJECT / f"{module.replace('.', '/')}.py" for module in MODULES}
    for place in (PROJECT / "shardstore", PROJECT / "shardstore/router", PROJECT / "shardstore/workers"):
        yield from (file for file in place.rglob("*.py") if file not in compiled)


def compiled_bases(file: Path) -> Iterator[str]:
    """The classes of a module whose base is a class of a compiled module."""
    tree = ast.parse(file.read_text("utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            imported.update(each.asname or each.name for each in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {name.id for base in node.bases for name in ast.walk(base) if isinstance(name, ast.Name)}
            yield from (f"{file.name}: {node.name} is a {base}" for base in bases & imported)


@pytest.mark.slow
def test_mypyc_translates_them_to_c(tmp_path: Path) -> None:
    """Without a C compiler: this finds constructs that mypyc does not know."""
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for folder in ("shardstore", "router", "workers"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, symlinks=True)
    files = [f"{module.replace('.', '/')}.py" for module in MODULES]
    command = [sys.executable, "-c", TRANSLATE, *files]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "c").glob("__native*.c"))
