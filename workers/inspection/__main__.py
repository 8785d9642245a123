"""python -P -m shardstore.workers.inspection '{"file": ...}': InspectionOptions as one JSON argument.

Prints what is in the file. The exit code is 0, or 3 if the file is damaged or cannot be read.
"""

from __future__ import annotations

import sys

from shardstore.errors import Corruption, ShardstoreError
from shardstore.options import InspectionOptions, from_argument
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.workers.inspection.findings_text import as_json, as_lines
from shardstore.workers.inspection.inspect import inspect

EXIT_FAILED = 3


def main() -> None:
    """Inspect one file."""
    try:
        options = from_argument(InspectionOptions, " ".join(sys.argv[1:]))
        findings = inspect(PosixFilesystem(options.root), options.file, options.entries)
    except (ShardstoreError, FileNotFoundError) as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(EXIT_FAILED)
    findings.damage = [Corruption(f"{options.root}/{each.file}", each.offset, each.what) for each in findings.damage]
    lines = [as_json(findings, options.in_hex)] if options.as_json else as_lines(findings, options.in_hex)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.exit(EXIT_FAILED if findings.damage else 0)


if __name__ == "__main__":
    main()
