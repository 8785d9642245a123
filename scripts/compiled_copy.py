"""Makes a copy of the checkout whose hot modules are compiled, for the tests.

The checkout itself stays as it is: a compiled module in it would hide later changes of its source.
"""

import os
import shutil
import subprocess
import sys

import bootstrap

PLACE = os.path.join(bootstrap.PROJECT, "build", "compiled")
_LEFT_OUT = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info", "*.so")


def make() -> str:
    """Make the copy anew; returns its place. Exits if it cannot be compiled."""
    shutil.rmtree(PLACE, ignore_errors=True)
    shutil.copytree(bootstrap.PROJECT, PLACE, symlinks=True, ignore=_LEFT_OUT)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    print(f"== compiling in {PLACE}: this takes a minute or two", flush=True)
    if subprocess.run(command, cwd=PLACE, env=os.environ | {"SHARDSTORE_COMPILE": "1"}, check=False).returncode:
        sys.exit("== the modules could not be compiled, see above")
    return PLACE
