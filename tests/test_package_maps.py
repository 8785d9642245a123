"""The docstring of every package is a map that names each module and each package in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
ROOTS = [PROJECT / "shardstore", PROJECT / "router", PROJECT / "workers"]
PACKAGES = sorted(
    init.parent for root in ROOTS for init in root.rglob("__init__.py") if init.parent.name != "shardstore"
)


def contents(package: Path) -> list[str]:
    """The names of its modules, and of its packages with a slash at the end."""
    modules = [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    return modules + [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(PROJECT)))
def test_the_map_names_what_is_there(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    named = {line.split()[0] for line in text.splitlines()[1:] if line.strip()}
    assert named == set(contents(package))
