"""Compiles the modules named in pyproject.toml with mypyc if the variable SHARDSTORE_COMPILE is 1; else nothing."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from setuptools import setup

with open("pyproject.toml", "rb") as file:
    PYPROJECT = tomllib.load(file)


def compiled() -> dict[str, Any]:
    """The extension modules; or what their build needs: mypyc, and the packages whose types it looks up."""
    try:
        from mypyc.build import mypycify  # noqa: PLC0415
    except ModuleNotFoundError:  # pip asks first what the build needs
        types = ["types-psutil>=5.9.5", *PYPROJECT["project"]["dependencies"]]
        return {"setup_requires": ["mypy[mypyc]>=2.4", *types]}
    files = [f"{module.replace('.', '/')}.py" for module in PYPROJECT["tool"]["shardstore"]["compiled"]]
    return {"ext_modules": mypycify(files, opt_level="2", debug_level="0")}


setup(**(compiled() if os.environ.get("SHARDSTORE_COMPILE") == "1" else {}))
