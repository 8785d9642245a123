"""The faults that a store on one host must survive, and what must happen. `faults_page.py` makes a page of them.

A fault has an id, which tests name in `@pytest.mark.fault(id, ...)`. `gap` says what no test covers, and why.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One fault: what happens, what the store does then, and what is not tested of it."""

    id: str
    what: str
    expected: str
    gap: str = ""


NOT_YET = "all of it, so far."

CLIENT = (
    Fault("C1", "A client dies with requests and scans open.", "What it held is free within the lease time."),
    Fault("C2", "A request is sent again with its id.", "It is applied once, also after restarts."),
    Fault("C3", "A retry is older than the dedup window.", "It is told to be too old, and never applied."),
    Fault("C4", "A reply comes late, twice, or for nothing.", "It is ignored and counted, and ends no other request."),
    Fault("C5", "A client does not read its replies.", "Its queue is bounded, then it is cut off; others go on."),
    Fault("C6", "A request reaches the next process of a worker.", "Its epoch or deadline refuses it."),
    Fault("C7", "The routes of a client are older or newer.", "It gets the newer routes; nobody else takes a write."),
    Fault("C8", "A key, value, batch or scan is too large.", "The client refuses it, and so does the server."),
    Fault("C9", "A client is used after a fork, or by threads.", "It works, or the error names the cause."),
    Fault("C10", "The clock of a client jumps.", "Nothing happens: deadlines are durations.", NOT_YET),
)
SOCKET = (
    Fault("N1", "A reply has no peer any more.", "The peer is forgotten and the loss is counted."),
    Fault("N2", "The queue of a peer is full.", "It is bounded in bytes. Nothing is dropped in silence."),
    Fault("N3", "A message is longer than is allowed.", "Its connection ends before memory is allocated."),
    Fault("N4", "A message never ends.", "The number of frames is fixed: the connection ends."),
    Fault("N5", "A peer is stopped, or its connection is half open.", "It is given up in time.", NOT_YET),
    Fault("N6", "A peer says nothing, or garbage, when it connects.", "Its connection is closed soon."),
    Fault("N7", "Many idle connections use up descriptors.", "Old clients are served, new ones are turned away."),
    Fault(
        "N8",
        "There are no descriptors when a process starts.",
        "It says so, and is started again.",
        NOT_YET,
    ),
    Fault(
        "N9", "Two peers claim one identity.", "Servers choose identities, so nobody gets replies of others.", NOT_YET
    ),
    Fault("N10", "The path of a socket is too long.", "The start fails and names the path."),
    Fault("N11", "A second cluster starts on the directory.", "A lock refuses it before it binds anything."),
    Fault("N12", "A process stops with unsent messages.", "It waits for a bounded time only."),
    Fault("N13", "Messages are lost, delayed, doubled, out of order.", "They are sent again and applied once."),
    Fault("N14", "News of routes is missed.", "Routes have versions, and are asked for. Nothing depends on the news."),
)
ROUTER = (
    Fault("R1", "The router is killed.", "The next one loads the map; changes go on; direct clients notice nothing."),
    Fault("R2", "The router stands still, and goes on.", "Its old orders have old epochs, and are refused."),
    Fault("R3", "The map is an older copy.", "It is refused. No epoch is given twice."),
    Fault("R4", "A worker is slow or gone.", "Only its ranges are unavailable; no queue grows for it."),
    Fault("R5", "A handler raises an exception.", "A bad request gets an error; a broken promise ends the process."),
    Fault("R6", "A process dies again and again.", "It is restarted after growing pauses, and that is told."),
    Fault("R7", "More bytes are in flight than are allowed.", "`Busy`, before anything is logged."),
)
PROCESSES = (
    Fault("W1", "SIGKILL at any file operation.", "Recovery is right, also after twenty kills in a row."),
    Fault("W2", "A worker stands still beyond its lease.", "It acknowledges nothing under an old epoch."),
    Fault("W3", "The supervisor is killed.", "All processes end within a moment."),
    Fault("W4", "Two processes want one directory.", "A lock refuses the second. Children do not inherit it."),
    Fault("W5", "A maintenance process dies or hangs.", "Its job is tried again; its files are removed."),
    Fault("W6", "Work in the background fails.", "It is seen in `stats`, and tried again or an error for good."),
    Fault("W7", "Memory cannot be allocated.", "Nothing is half applied; what was acknowledged is there.", NOT_YET),
    Fault("W8", "SIGTERM, twice, or SIGINT to all.", "It ends in order; a second signal ends it at once."),
    Fault("W9", "A process gets no processor.", "Nobody is taken for dead who only waits for a processor."),
    Fault("W10", "A sync takes very long.", "Acknowledgements wait, memory is bounded, reads go on."),
    Fault("W11", "Python runs with `-O`.", "Processes refuse to start: checks are assertions."),
)
LOG = (
    Fault("L1", "The end of the log is torn, zeros or garbage.", "It is cut before the next append, and that is told."),
    Fault("L2", "A bad record has sound ones behind it.", "If it was durable it is damage: named, nothing is cut."),
    Fault("L3", "A file is missing; an LSN is missing or doubled.", "Damage, named."),
    Fault("L4", "A removed log file is back.", "Its records are below the checkpoint, and are ignored."),
    Fault("L5", "The name of a new file is lost.", "Not after an acknowledgement: the directory is synced before."),
    Fault("L6", "A sync fails, and the next one works.", "It is never called again; recovery trusts no cache."),
    Fault("L7", "A write fails or is short.", "A short one goes on; after an error the log ends as in L6."),
    Fault("L8", "There is no room for a record.", "The write is refused, the file is cut back; it heals by itself."),
    Fault("L9", "The file system turns read-only.", "Reads go on, writes are refused with the reason."),
    Fault("L10", "Bytes are flipped, zeroed, swapped or old.", "A checksum finds it. Never a wrong value."),
    Fault("L11", "The log of another store or worker.", "It is refused."),
    Fault("L12", "A length is absurd.", "It is compared with what there is before anything is allocated."),
    Fault("L13", "Several requests share a sync.", "All are acknowledged after it. A record is whole or absent."),
    Fault("L14", "The log may not grow any more.", "`Busy` until drains have released some of it."),
    Fault("L15", "Power fails with `async`.", "A prefix of each log is left, and little is lost."),
    Fault("L16", "A newer format.", "It is refused, with the release it needs. The former version is read."),
)
SEGMENT = (
    Fault("G1", "A crash in a drain or compaction.", "The old state or the new one."),
    Fault("G2", "A name is durable before the content.", "Impossible: files are synced before they are named."),
    Fault("G3", "A byte of a table or filter is flipped.", "An error names the file. Never a key that seems absent."),
    Fault("G4", "A table is cut, empty, missing or another one.", "It is refused. Other ranges are served."),
    Fault("G5", "A crash leaves files behind.", "They are removed once nothing names them."),
    Fault(
        "G6",
        "There is no room for a drain or compaction.",
        "Its output is removed; it is tried again.",
    ),
    Fault("G7", "There are no descriptors.", "The request is refused, tables are closed; the log stays open."),
    Fault("G8", "A file is removed under a scan.", "The scan goes on."),
    Fault("G9", "A tombstone is dropped too early.", "Never: a deleted key stays deleted."),
    Fault("G10", "A block says it is small, and expands to much.", "It is refused within the size it named."),
    Fault("G11", "A file has keys outside its bounds.", "They never answer; a file that must not have them is damage."),
    Fault("G12", "Hard links fail or are not durable.", "Files are copied; directories are synced before manifests."),
    Fault("G13", "Data that nobody reads is damaged.", "The doctor reads every byte of a store."),
)
MAP = (
    Fault("M1", "The map is torn, cut or flipped.", "It is refused and named."),
    Fault("M2", "The map has gaps, overlaps or unknown workers.", "It is refused with the reason."),
    Fault("M3", "The map cannot be saved.", "The change vanishes; its parents go on."),
    Fault("M4", "Two routers.", "The second is refused."),
    Fault("M5", "The map is huge or deeply nested.", "Limits are checked before it is decoded."),
)
CHANGES = (
    Fault("H1", "Processes die at any step of a change.", "It never began, or goes on. A key has one owner."),
    Fault("H2", "Messages of a change are lost, late, doubled.", "Epochs and stages make them harmless."),
    Fault("H3", "A source stands still at its fence.", "It refuses writes when it goes on."),
    Fault("H4", "Clients write during the fence.", "They are sent to the children; nothing is lost or doubled."),
    Fault("H5", "Retries after a move.", "The dedup window moves with the range."),
    Fault("H6", "A range with `async` moves, and power fails.", "No hole: the fence syncs."),
    Fault("H7", "The disk of a target is full, or it dies.", "The change waits; parents answer reads."),
    Fault("H8", "Scans are open during a change.", "Each ends as its mode says. No key is missing or doubled."),
    Fault("H9", "Splits at the edges; changes during jobs.", "No range is empty of possible keys; nothing is lost."),
    Fault("H10", "Power fails at any step of a change.", "As H1."),
)
BUDGET = (
    Fault("B1", "More load than the store sustains, for long.", "Memory is bounded; what is too much is refused."),
    Fault("B2", "Leases are lost or told twice.", "Their sum never exceeds the budget."),
    Fault("B3", "The budget is used up.", "Drains need none of it: no deadlock."),
    Fault("B4", "One client or range has most of the load.", "Others keep their share."),
    Fault("B5", "Requests are cancelled, refused or time out.", "What they held is given back."),
    Fault("B6", "A batch is larger than the budget.", "It is refused at once."),
    Fault("B7", "The disk stands still.", "Memory is bounded; work goes on by itself.", NOT_YET),
)
GROUPS = {
    "Clients": CLIENT,
    "Connections": SOCKET,
    "The router": ROUTER,
    "Workers and other processes": PROCESSES,
    "The log": LOG,
    "Segments": SEGMENT,
    "The route map": MAP,
    "Splits, merges and moves": CHANGES,
    "Memory and load": BUDGET,
}
FAULTS = {fault.id: fault for group in GROUPS.values() for fault in group}
