"""Inspects a document: its head is the same for every kind, its body is a map (see shardstore/files/documents.py).

The formats of ROUTES and STORE belong to the router and to the supervisor, which workers do not import. So their magic
bytes and versions are repeated here.
"""

from __future__ import annotations

from typing import Any

from shardstore.errors import Corruption
from shardstore.files.documents import read_document
from shardstore.seams.filesystem import Filesystem
from shardstore.tables import manifest
from shardstore.workers.inspection.findings import Findings
from shardstore.workers.wal import log_document

DOCUMENTS: dict[bytes, tuple[str, int]] = {
    manifest.MAGIC: ("manifest", manifest.VERSION),
    log_document.MAGIC: ("log document", log_document.VERSION),
    b"sSROUTES": ("route map", 3),
    b"SHSTORE\0": ("store", 1),
}
"""Kind and version by magic."""


def inspect_document(filesystem: Filesystem, path: str, magic: bytes, entries_max: int) -> Findings:
    """Findings with the body of the document as it is."""
    kind, version = DOCUMENTS[magic]
    findings = Findings(kind)
    try:
        body: dict[str, Any] = read_document(filesystem, path, magic, version)
    except Corruption as damage:
        findings.damage.append(damage)
    else:
        findings.facts |= {"version": version, "body": body}
    return findings
