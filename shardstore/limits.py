"""All limits by name, with their units, and the relations that must hold between them."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000 * MILLISECOND_NS

KEY_BYTES_MIN = 1
KEY_BYTES_MAX = 4 * KIB
BOUND_BYTES_MAX = KEY_BYTES_MAX + 1
"""Maximum size of a bound of a key range. The smallest key above a key is that key and a zero byte."""
KEY_ROW_BYTES_MAX = 16
"""At most this many first bytes of keys are compared with whole columns at once, to find their ranges or tables."""
KEY_NESTING_MAX = 32
"""So many tuples may be in each other in a key of any types."""
DESCRIPTION_CHARACTERS_MAX = KIB
"""Length of the description of a type of keys or values."""
VALUE_BYTES_MAX = 8 * MIB
EXPIRING_BYTES = 96
"""What an entry that expires takes in memory besides BUFFERED_ENTRY_BYTES."""
MOMENT_MS_MAX = 253_402_300_800_000
"""The end of the year 9999, in milliseconds since the epoch: no entry lives longer."""
REQUEST_ENTRIES_MAX = 65_536
REQUEST_BYTES_MAX = 16 * MIB
COMPARE_AND_SET_BYTES_MAX = REQUEST_BYTES_MAX - KEY_BYTES_MAX - KIB
"""Maximum size of a compare-and-set: the expected value and the new value together."""
FRAME_BYTES_MAX = 32 * MIB
FRAMES_MAX = 5
MESSAGE_BYTES_MAX = 40 * MIB
"""All frames of a message on the direct path together."""
REFUSAL_CHARACTERS_MAX = KIB
"""Length of the text of a refusal; a longer text is cut."""
SCAN_PAGE_BYTES = MIB
SCAN_PAGE_ENTRIES = 16_384
SCAN_IDLE_NS = 30 * SECOND_NS
"""The idle timeout of a scan: how long a worker certainly keeps its view between two pages."""
SCAN_ABANDONED_NS = 900 * SECOND_NS
"""How much longer it keeps the view as long as nothing else needs the memory."""
ISOLATION_NS_MAX = 5 * SECOND_NS
"""How long a scan in full isolation may block writes to a range, from its first page there."""
VIEW_FILE_BYTES_MAX = 16 * GIB
"""Bytes of removed table files that the open scans of one worker keep on disk."""
BUFFERED_ENTRY_BYTES = 224
"""Memory of an entry in an overlay besides its key and value: two object headers, their rounding, its share of a
growing dict, and its share of the sorted pieces."""
RUNS_SET_ASIDE_MAX = 4
"""Runs of a range that were sealed only for open scans and wait in memory until a drain is due."""
SET_ASIDE_BYTES_MIN = 256 * KIB
"""An active layer below this size is copied for a scan instead of being sealed."""
REPLY_BYTES_AIM = 2 * MIB
"""Size at which a reply to GET ends, unless its first value alone is larger. The client asks again for the rest."""
DEADLINE_MS_MAX = 3_600_000
DEADLINE_DEFAULT_NS = 30 * SECOND_NS

CREDITS = 16
"""Requests one client may have in flight to one worker, besides flushes and compactions on a direct link."""
OUTBOX_BYTES_MAX = 160 * MIB
"""Unsent bytes that are kept for one slow peer before it is cut off."""
ROUTER_IN_FLIGHT_BYTES_MAX = 256 * MIB
"""Bytes of unanswered requests that the router has passed to one worker."""

DEDUP_WINDOW = 1_024
"""Minimum number of a client's writes to a segment that are remembered."""
DEDUP_VALUES = 16
"""Number of a client's increments whose resulting value is remembered."""
TAKEN_BYTES_MAX = MIB
"""Maximum size of an entry, key and value, that a TAKE removes. It is kept until its client's next write."""
DEDUP_CLIENTS = 1_024
"""Clients remembered per segment."""
DEDUP_MINUTES = 24 * 60
"""After this many minutes without a write of a client, only the number of its newest write is remembered."""
DEDUP_BYTES_MAX = 6 * MIB
"""Memory of a segment's dedup window. Its document is never larger."""

RANGES_MAX = 65_536
CONTAINERS_MAX = 4 * RANGES_MAX
"""Maximum number of arrays and maps in one document, and of items in each of them."""
WORKERS_MAX = 256
TOGETHER_MAX = 65_536
"""Maximum number of prefixes whose keys are kept in one range, and (below) of bytes of each."""
TOGETHER_BYTES_MAX = 16
WAL_FILE_BYTES = 64 * MIB
WAL_RETAINED_BYTES_MAX = GIB
RUN_QUEUE_MAX = 8
BLOCK_ENTRIES = 256
EXPANDED_BLOCKS_BYTES_MIN = 18 * MIB
"""Minimum memory for expanded blocks of compressed tables: twice the largest block."""
DOCUMENT_BYTES_MAX = 64 * MIB
"""Maximum size of a manifest, route map or other small published file."""

DRAIN_RANGES_MAX = 1_024
"""Maximum number of ranges in one drain; the next drain takes the others."""
DRAIN_SPEC_BYTES_MAX = 16 * MIB
"""Size of the dedup windows in the spec of a drain of several ranges, and of the table records in its result."""
PARTS_AIM = 2_048
"""Above this number of parts of a segment, new parts are larger."""
BOUNDARY_BYTES_MAX = 4 * MIB
"""Size of the first keys of all ranges of a store together, as one message holds them."""

LOAD_RANGES_MAX = 1_024
"""Ranges in one LOAD message. A worker with more ranges reports them in turn."""
LOAD_KEYS_MAX = 32
"""Sampled keys of a range."""
LOAD_KEY_BYTES_MAX = 256 * KIB
"""Bytes of sampled keys in one LOAD message. The busiest ranges get them first."""
LOAD_CUTS_MAX = 15
"""Keys that cut one range into pieces of equal size."""
LOAD_CUT_RANGES_MAX = 8
"""Ranges, the largest of a worker, for which one LOAD message has such keys."""

BOARD_SLOTS = 8_192
"""Number of ranges of a worker that clients can read directly."""
BOARD_FILTERS = 64
"""Number of filters of a worker's board; see wire/board_format.py."""

KEYS_MAX = 4_096
"""Keys of clients that a store lets in."""
SOCKET_PATH_BYTES_MAX = 107

assert KEY_BYTES_MAX + VALUE_BYTES_MAX < REQUEST_BYTES_MAX < FRAME_BYTES_MAX
assert SCAN_PAGE_ENTRIES <= REQUEST_ENTRIES_MAX
assert REPLY_BYTES_AIM + VALUE_BYTES_MAX < FRAME_BYTES_MAX
assert CREDITS * (REPLY_BYTES_AIM + VALUE_BYTES_MAX) <= OUTBOX_BYTES_MAX, "a peer that reads is never cut off"
assert 2 * (KEY_BYTES_MAX + VALUE_BYTES_MAX + KIB) <= EXPANDED_BLOCKS_BYTES_MIN
assert CREDITS <= DEDUP_VALUES <= DEDUP_WINDOW
assert DEDUP_CLIENTS * (2 * 2 * DEDUP_WINDOW + KIB) <= DEDUP_BYTES_MAX, "for clients that write to some ranges in turn"
assert 4 * TAKEN_BYTES_MAX <= DEDUP_BYTES_MAX
assert CREDITS < 256
assert RUNS_SET_ASIDE_MAX < RUN_QUEUE_MAX
assert REQUEST_BYTES_MAX < WAL_FILE_BYTES < WAL_RETAINED_BYTES_MAX
assert (
    LOAD_RANGES_MAX * (KEY_BYTES_MAX + KIB) + LOAD_KEY_BYTES_MAX + LOAD_CUT_RANGES_MAX * LOAD_CUTS_MAX * KEY_BYTES_MAX
    < FRAME_BYTES_MAX
)
assert FRAME_BYTES_MAX < MESSAGE_BYTES_MAX < OUTBOX_BYTES_MAX < ROUTER_IN_FLIGHT_BYTES_MAX
