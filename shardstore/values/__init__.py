"""Codecs of values: how Python values become the bytes that are stored. `from shardstore import values`.

codec.py         what a codec is, also one of your own
plain.py         Raw, Str, Int, Float
json_text.py     Json
msgpack_data.py  MsgPack
pickled.py       Pickle
stored.py        Values: a codec, checked, perhaps with compression
compressed.py    the compression
descriptions.py  from_description
"""

from shardstore.values.codec import ValueCodec
from shardstore.values.descriptions import values_from_description as from_description
from shardstore.values.json_text import JsonCodec as Json
from shardstore.values.msgpack_data import MsgPackCodec as MsgPack
from shardstore.values.pickled import PickleCodec as Pickle
from shardstore.values.plain import FloatCodec as Float
from shardstore.values.plain import IntCodec as Int
from shardstore.values.plain import RawCodec as Raw
from shardstore.values.plain import StrCodec as Str
from shardstore.values.stored import StoredValues as Values

__all__ = ["Float", "Int", "Json", "MsgPack", "Pickle", "Raw", "Str", "ValueCodec", "Values", "from_description"]
