"""msgspec's msgpack: the same values as Structs, in a format of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

PACKAGE = "msgspec"


class A(msgspec.Struct, array_like=True):
    version: int
    kind: int
    flags: int
    sequence: int
    stamp: int
    gain: float


class B(msgspec.Struct, array_like=True):
    name: str
    topic: str
    values: list[int]


class C(msgspec.Struct, array_like=True):
    values: list[int]


class Item(msgspec.Struct, array_like=True):
    port: int
    address: int
    load: float


class D(msgspec.Struct, array_like=True):
    header: A
    items: list[Item]


CASES = {"a": A, "b": B, "c": C, "d": D, "e": C}


def calls(case: str, record: Any) -> tuple[Callable[[], bytes], Callable[[], Any]]:
    """What packs the values of `record`, and what unpacks the bytes of that."""
    cls = CASES[case]
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(cls).decode
    value = msgspec.convert(record.astuple(), cls)
    data = encode(value)
    return lambda: encode(value), lambda: decode(data)


def plain(value: Any) -> Any:
    """What was unpacked, as a record's `astuple` shows it."""
    if isinstance(value, msgspec.Struct):
        return tuple(plain(one) for one in msgspec.structs.astuple(value))
    return [plain(one) for one in value] if isinstance(value, list) else value
