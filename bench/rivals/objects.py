"""Records by hand, as rivals/records.py does it, from and to instances of classes with slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import records
from .records import HEADER, ITEM, U16

PACKAGE = ""


@dataclass(frozen=True, slots=True)
class Frozen:
    version: int
    kind: int
    flags: int
    sequence: int
    stamp: int
    gain: float


class Plain:
    """What these classes share: they are told apart by their slots alone."""

    __slots__: tuple[str, ...] = ()

    def astuple(self) -> tuple[Any, ...]:
        return tuple(plain(getattr(self, name)) for name in self.__slots__)


class Header(Plain):
    __slots__ = ("version", "kind", "flags", "sequence", "stamp", "gain")

    def __init__(self, version: int, kind: int, flags: int, sequence: int, stamp: int, gain: float) -> None:
        self.version = version
        self.kind = kind
        self.flags = flags
        self.sequence = sequence
        self.stamp = stamp
        self.gain = gain


class Named(Plain):
    __slots__ = ("name", "topic", "values")

    def __init__(self, name: str, topic: str, values: list[int]) -> None:
        self.name = name
        self.topic = topic
        self.values = values


class Values(Plain):
    __slots__ = ("values",)

    def __init__(self, values: Any) -> None:
        self.values = values


class Item(Plain):
    __slots__ = ("port", "address", "load")

    def __init__(self, port: int, address: int, load: float) -> None:
        self.port = port
        self.address = address
        self.load = load


class Report(Plain):
    __slots__ = ("header", "items")

    def __init__(self, header: Header, items: list[Item]) -> None:
        self.header = header
        self.items = items


def plain(value: Any) -> Any:
    if isinstance(value, Plain):
        return value.astuple()
    return [plain(one) for one in value] if isinstance(value, list) else value


def made(case: str, values: tuple[Any, ...]) -> Plain:
    """The values of a record as an object."""
    if case == "a":
        return Header(*values)
    if case == "b":
        return Named(*values)
    if case == "d":
        return Report(Header(*values[0]), [Item(*item) for item in values[1]])
    return Values(*values)


def pack_a(it: Header) -> bytes:
    return HEADER.pack(it.version, it.kind, it.flags, it.sequence, it.stamp, it.gain)


def unpack_a(data: bytes) -> Header:
    return Header(*HEADER.unpack(data))


def pack_b(it: Named) -> bytes:
    return records.pack_b((it.name, it.topic, it.values))


def unpack_b(data: bytes) -> Named:
    return Named(*records.unpack_b(data))


def pack_c(it: Values) -> bytes:
    return records.pack_c((it.values,))


def unpack_c(data: bytes) -> Values:
    return Values(*records.unpack_c(data))


def pack_d(it: Report) -> bytes:
    packed = [ITEM.pack(item.port, item.address, item.load) for item in it.items]
    return b"".join([pack_a(it.header), U16.pack(len(packed)), *packed])


def unpack_d(data: bytes) -> Report:
    header, items = records.unpack_d(data)
    return Report(Header(*header), [Item(*item) for item in items])


def pack_e(it: Values) -> bytes:
    return records.pack_e((it.values,))


def unpack_e(data: bytes) -> Values:
    return Values(*records.unpack_e(data))
