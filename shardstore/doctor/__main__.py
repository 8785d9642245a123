"""python -P -m shardstore.doctor '["DIR", "store"]': does the jobs that come as a line on its standard input.

It prints a line for each job, in their order, with what it has found.
"""

from __future__ import annotations

import json
import sys

from shardstore.doctor.jobs import decode_jobs, encode, findings_of
from shardstore.doctor.survey import survey_of
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.system.running_cluster import identity_of


def main() -> None:
    """Do the jobs."""
    data, store = json.loads(sys.argv[-1])
    filesystem = PosixFilesystem(data, identity_of(data))
    survey = survey_of(filesystem, store)
    for job in decode_jobs(sys.stdin.buffer.readline()):
        sys.stdout.buffer.write(encode(list(findings_of(filesystem, survey, job))))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
