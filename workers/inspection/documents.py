"""Inspects a document: its head is the same for every kind, its body is a map (see shardstore/files/documents.py)."""

from __future__ import annotations

from shardstore.errors import Corruption
from shardstore.files.documents import read_document
from shardstore.files.formats import DOCUMENTS
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.inspection.findings import Findings


def inspect_document(filesystem: Filesystem, path: str, magic: bytes, entries_max: int) -> Findings:
    """Findings with the format version and the body of the document as it is."""
    findings = Findings(DOCUMENTS[magic].kind)
    try:
        version, body = read_document(filesystem, path, DOCUMENTS[magic])
    except Corruption as damage:
        findings.damage.append(damage)
    else:
        findings.facts |= {"version": version, "body": body}
    return findings
