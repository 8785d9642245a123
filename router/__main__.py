"""The program `python -P -m shardstore.router OPTIONS`. OPTIONS is options.RouterOptions as one JSON argument."""

from __future__ import annotations

import sys

from shardstore.errors import ShardstoreError
from shardstore.options import RouterOptions, from_argument
from shardstore.router import runtime
from shardstore.system.process import end_with_parent, heed_signals, raise_descriptor_limit, refuse_optimised_python


def main() -> None:
    """Run the router. On failure, print one line to standard error and exit with code 1."""
    refuse_optimised_python()
    heed_signals()
    end_with_parent()
    try:
        raise_descriptor_limit()
        failure = runtime.run(from_argument(RouterOptions, " ".join(sys.argv[1:]))).failure
    except ShardstoreError as error:
        failure = str(error) or type(error).__name__
    if failure:
        sys.exit(failure)


if __name__ == "__main__":
    main()
