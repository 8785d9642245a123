"""python -P -m shardstore.workers '{"data": ...}': the options of options.WorkerOptions as one JSON argument."""

from __future__ import annotations

import sys

from shardstore.errors import ShardstoreError
from shardstore.options import WorkerOptions, from_argument
from shardstore.system.process import end_with_parent, heed_signals, raise_descriptor_limit, refuse_optimised_python
from shardstore.workers import runtime


def main() -> None:
    """Run the worker. A failure is one line on standard error, and exit code 1."""
    refuse_optimised_python()
    heed_signals()
    end_with_parent()
    try:
        raise_descriptor_limit()
        failure = runtime.run(from_argument(WorkerOptions, " ".join(sys.argv[1:]))).failure
    except ShardstoreError as error:
        failure = str(error) or type(error).__name__
    if failure:
        sys.exit(failure)


if __name__ == "__main__":
    main()
