"""Every maximum with a name, its unit, and the relations between them."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000 * MILLISECOND_NS

KEY_BYTES_MIN = 1
KEY_BYTES_MAX = 4 * KIB
BOUND_BYTES_MAX = KEY_BYTES_MAX + 1
"""Of where keys begin or end: a key and a zero byte are right behind that key."""
VALUE_BYTES_MAX = 8 * MIB
REQUEST_ENTRIES_MAX = 65_536
REQUEST_BYTES_MAX = 16 * MIB
CHANGE_BYTES_MAX = REQUEST_BYTES_MAX - KEY_BYTES_MAX - KIB
"""The value that a key must have and the one that it gets, together."""
FRAME_BYTES_MAX = 32 * MIB
FRAMES_MAX = 5
MESSAGE_BYTES_MAX = 40 * MIB
"""All frames of a message on the direct path."""
REFUSAL_CHARACTERS_MAX = KIB
"""Of what a refusal says; a longer text is cut."""
SCAN_PAGE_BYTES = MIB
SCAN_PAGE_ENTRIES = 16_384
SCAN_LEASE_NS = 30 * SECOND_NS
"""How long a worker holds for certain what a scan needs between two pages."""
SCAN_ABANDONED_NS = 900 * SECOND_NS
"""How much longer it holds that while nothing else needs the room."""
ISOLATION_LEASE_NS = 5 * SECOND_NS
"""How long a scan may keep the writers of a range waiting, from its first page there."""
VIEW_FILE_BYTES_MAX = 16 * GIB
"""Bytes of table files that only the open scans of one worker still hold."""
RUNS_SET_ASIDE_MAX = 4
"""Runs of a range that were sealed for open scans alone, and wait in memory for a drain that is due."""
SET_ASIDE_BYTES_MIN = 256 * KIB
"""An active layer below this size is copied for the scans that show it, not sealed."""
REPLY_BYTES_AIM = 2 * MIB
"""Where the answer to a GET ends, unless its first value alone is longer; the rest is asked for again."""
DEADLINE_MS_MAX = 3_600_000
DEADLINE_DEFAULT_NS = 30 * SECOND_NS

CREDITS = 16
"""Messages one client may have in flight to one worker."""
OUTBOX_BYTES_MAX = 160 * MIB
"""Unsent bytes kept for one slow peer before it is cut off."""
ROUTER_IN_FLIGHT_BYTES_MAX = 256 * MIB
"""Request bytes the router has passed to one worker and not seen answered."""

DEDUP_WINDOW = 1_024
"""Writes of a client to a segment that are remembered, at the least."""
DEDUP_VALUES = 16
"""Of them increments whose value is remembered."""
DEDUP_CLIENTS = 1_024
"""Clients remembered per segment."""
DEDUP_MINUTES = 24 * 60
"""Of a client that was silent for so long, only the number of its newest write is remembered."""
DEDUP_BYTES_MAX = 6 * MIB
"""Memory for what is remembered of the clients of a segment; its document is never larger."""

RANGES_MAX = 65_536
CONTAINERS_MAX = 4 * RANGES_MAX
"""Arrays and maps in one document, and items in each of them."""
WORKERS_MAX = 256
WAL_FILE_BYTES = 64 * MIB
WAL_RETAINED_BYTES_MAX = GIB
RUN_QUEUE_MAX = 8
BLOCK_ENTRIES = 256
EXPANDED_BLOCKS_BYTES_MIN = 18 * MIB
"""Memory for expanded blocks of compressed tables, at the least: twice the largest block."""
DOCUMENT_BYTES_MAX = 64 * MIB
"""A manifest, route map or other small published file."""

DRAIN_RANGES_MAX = 1_024
"""Ranges in one drain; the next one takes the others."""
DRAIN_BYTES_MAX = 16 * MIB
"""Dedup windows in the spec of a drain of more than one range, and table records in its result."""
PARTS_AIM = 2_048
"""Parts of a segment from which on new ones are larger."""
BOUNDARY_BYTES_MAX = 4 * MIB
"""First keys of all ranges of a store together: they travel in one message."""

LOAD_RANGES_MAX = 1_024
"""Ranges in one LOAD message; a worker with more reports them in turn."""
LOAD_KEYS_MAX = 32
"""Keys that are sampled of a range."""
LOAD_KEY_BYTES_MAX = 256 * KIB
"""Bytes of sampled keys in one LOAD message, which the busiest ranges get."""
LOAD_CUTS_MAX = 15
"""Keys that cut a range into parts of the same size ..."""
LOAD_CUT_RANGES_MAX = 8
"""... which the largest ranges of a worker get in one LOAD message."""

IPC_PATH_BYTES_MAX = 107

assert KEY_BYTES_MAX + VALUE_BYTES_MAX < REQUEST_BYTES_MAX < FRAME_BYTES_MAX
assert SCAN_PAGE_ENTRIES <= REQUEST_ENTRIES_MAX
assert REPLY_BYTES_AIM + VALUE_BYTES_MAX < FRAME_BYTES_MAX
assert CREDITS * (REPLY_BYTES_AIM + VALUE_BYTES_MAX) <= OUTBOX_BYTES_MAX, "who reads is never cut off"
assert 2 * (KEY_BYTES_MAX + VALUE_BYTES_MAX + KIB) <= EXPANDED_BLOCKS_BYTES_MIN
assert CREDITS <= DEDUP_VALUES <= DEDUP_WINDOW
assert DEDUP_CLIENTS * (2 * 2 * DEDUP_WINDOW + KIB) <= DEDUP_BYTES_MAX, "of clients that write to some ranges in turn"
assert CREDITS < 256
assert RUNS_SET_ASIDE_MAX < RUN_QUEUE_MAX
assert REQUEST_BYTES_MAX < WAL_FILE_BYTES < WAL_RETAINED_BYTES_MAX
assert (
    LOAD_RANGES_MAX * (KEY_BYTES_MAX + KIB) + LOAD_KEY_BYTES_MAX + LOAD_CUT_RANGES_MAX * LOAD_CUTS_MAX * KEY_BYTES_MAX
    < FRAME_BYTES_MAX
)
assert FRAME_BYTES_MAX < MESSAGE_BYTES_MAX < OUTBOX_BYTES_MAX < ROUTER_IN_FLIGHT_BYTES_MAX
