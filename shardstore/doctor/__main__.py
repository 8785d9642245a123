"""python -P -m shardstore.doctor '["DIR", "store"]': does the checks that come as a line on its standard input.

It prints a line for each check, in their order, with what it has found.
"""

from __future__ import annotations

import json
import sys

from shardstore.doctor.checks import decode_checks, encode, findings_of
from shardstore.doctor.survey import survey_of
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import identity_of


def main() -> None:
    """Do the checks."""
    data, store = json.loads(sys.argv[-1])
    filesystem = PosixFilesystem(data, identity_of(data))
    survey = survey_of(filesystem, store)
    for check in decode_checks(sys.stdin.buffer.readline()):
        sys.stdout.buffer.write(encode(list(findings_of(filesystem, survey, check))))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
