"""Types of keys: how Python values become bytes that sort as the values do. `from shardstore import keys`.

key_type.py      what every type of keys offers
plain.py         Bytes, Str, Int, Uuid
tuples.py        Tuple, AnyTuple
descriptions.py  from_description
elements/        the elements of tuple keys
"""

from shardstore.keys.descriptions import key_type_from_description as from_description
from shardstore.keys.key_type import KeyType
from shardstore.keys.plain import BytesKeys as Bytes
from shardstore.keys.plain import IntKeys as Int
from shardstore.keys.plain import StrKeys as Str
from shardstore.keys.plain import UuidKeys as Uuid
from shardstore.keys.tuples import AnyTupleKeys as AnyTuple
from shardstore.keys.tuples import TupleKeys as Tuple

__all__ = ["AnyTuple", "Bytes", "Int", "KeyType", "Str", "Tuple", "Uuid", "from_description"]
