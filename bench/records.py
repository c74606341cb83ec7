"""Records against code written by hand: a fixed header (a), strings and a list (b), ten thousand numbers as a
list (c) and as an array, records within records (d), a thousand varints (e); and against packages."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from random import Random
from typing import Any

import framewire as fw
from framewire import _backend

from .paired import Side, timed, unrolled
from .rivals import objects
from .rivals import records as rival

__all__ = ["PACKAGES", "PURE", "ROWS"]


class A(fw.Record):
    version: fw.u8
    kind: fw.u8
    flags: fw.u16
    sequence: fw.u32
    stamp: fw.u64
    gain: fw.f64


class B(fw.Record):
    name: fw.str_u16
    topic: fw.str_u16
    values: fw.list_u32[fw.u32]


class C(fw.Record):
    values: fw.list_u32[fw.u32]


class Array(fw.Record):
    values: fw.array_u32[fw.u32]


class Item(fw.Record):
    port: fw.u16
    address: fw.u32
    load: fw.f64


class D(fw.Record):
    header: A
    items: fw.list_u16[Item]


class E(fw.Record):
    values: fw.list_u32[fw.varint]


def samples() -> dict[str, fw.Record]:
    random = Random(1)
    header = A(1, 2, 300, 70_000, 1 << 40, 2.5)
    numbers = [random.randrange(1 << 32) for _ in range(10_000)]
    small = [random.randrange(1 << random.choice((7, 7, 14, 14, 21))) for _ in range(1000)]
    return {
        "a": header,
        "b": B("sensor-name-12345", "topics/measurement/long", numbers[:16]),
        "c": C(numbers),
        "array": Array(array("I", numbers)),
        "d": D(header, [Item(i, i * 1_000_000, i / 2) for i in range(20)]),
        "e": E(small),
    }


def against(call: str, case: str) -> Callable[[int], tuple[Side, Side]]:
    """`pack` or `unpack` of a case, several calls a repetition."""

    def make(stream: int) -> tuple[Side, Side]:
        if fw.backend != "native":
            raise ImportError("the extension is not in use")
        record = samples()[case]
        by_hand = getattr(rival, f"{call}_{case}")
        given: Any
        if call == "pack":
            given = record.astuple()
            ours = Side(timed(unrolled("record.pack()", 20, record=record)), record.pack)
        else:
            given = record.pack()
            cls = type(record)
            work = timed(unrolled("cls.unpack(data)", 20, cls=cls, data=given))
            ours = Side(work, lambda: cls.unpack(given).astuple())
        theirs = timed(unrolled("by_hand(given)", 20, by_hand=by_hand, given=given))
        return ours, Side(theirs, lambda: by_hand(given))

    return make


def against_package(package: str, call: str, case: str) -> Callable[[int], tuple[Side, Side]]:
    """The same against a package, which unpacks to objects of its own."""

    def make(stream: int) -> tuple[Side, Side]:
        if fw.backend != "native":
            raise ImportError("the extension is not in use")
        module = import_module(f".rivals.{package}_records", __package__)
        record = samples()[case]
        cls, data = type(record), record.pack()
        pack, unpack = module.calls(case, record)
        values = record.astuple()
        if call == "pack":
            ours = Side(timed(unrolled("record.pack()", 20, record=record)), lambda: values)
            theirs = Side(timed(unrolled("pack()", 20, pack=pack)), lambda: module.plain(unpack()))
        else:
            ours = Side(timed(unrolled("unpack(data)", 20, unpack=cls.unpack, data=data)), lambda: values)
            theirs = Side(timed(unrolled("unpack()", 20, unpack=unpack)), lambda: module.plain(unpack()))
        return ours, theirs

    return make


@cache
def on_pure() -> Any:
    """This module again, with records that run on the pure backend."""
    spec = spec_from_file_location(f"{__name__}_pure", __file__)
    assert spec is not None and spec.loader is not None
    copy = module_from_spec(spec)
    _backend.records = _backend.load("pure").records
    try:
        spec.loader.exec_module(copy)
        for record in copy.samples().values():
            record.pack()
    finally:
        del _backend.records
    return copy


def against_objects(call: str, case: str) -> Callable[[int], tuple[Side, Side]]:
    """The pure twin, and code by hand with a class."""

    def make(stream: int) -> tuple[Side, Side]:
        record = on_pure().samples()[case]
        values, data, cls = record.astuple(), record.pack(), type(record)
        by_hand = getattr(objects, f"{call}_{case}")
        if call == "pack":
            made = objects.made(case, values)
            ours = Side(timed(unrolled("record.pack()", 20, record=record)), record.pack)
            theirs = timed(unrolled("by_hand(made)", 20, by_hand=by_hand, made=made))
            return ours, Side(theirs, lambda: by_hand(made))
        work = timed(unrolled("unpack(data)", 20, unpack=cls.unpack, data=data))
        theirs = timed(unrolled("by_hand(data)", 20, by_hand=by_hand, data=data))
        return Side(work, lambda: values), Side(theirs, lambda: by_hand(data).astuple())

    return make


def constructing(names: bool) -> Callable[[int], tuple[Side, Side]]:
    """A record of six fields, and a frozen dataclass with slots."""

    def make(stream: int) -> tuple[Side, Side]:
        fields = ("version", "kind", "flags", "sequence", "stamp", "gain")
        given = ", ".join(f"{name}={i}" if names else str(i) for i, name in enumerate(fields))
        ours = timed(unrolled(f"cls({given})", 20, cls=A))
        theirs = timed(unrolled(f"cls({given})", 20, cls=objects.Frozen))
        return Side(ours, lambda: A(*range(6)).gain), Side(theirs, lambda: objects.Frozen(*range(6)).gain)

    return make


# Name, the most that ours may cost relative to the other.
ROWS = [
    (f"record/{call}/{case}", goal, against(call, case))
    for call, goals in {
        "pack": {"a": 0.60, "b": 0.15, "c": 0.30, "array": 1.1, "d": 0.25, "e": 0.05},
        "unpack": {"a": 1.15, "b": 0.50, "c": 0.95, "array": 1.1, "d": 1.00, "e": 0.09},
    }.items()
    for case, goal in goals.items()
]
ROWS += [
    ("record/construct/6 fields", 0.11, constructing(names=False)),
    ("record/construct/6 by name", 0.11, constructing(names=True)),
]

PURE = [
    (f"record/pure/{call}/{case}", 1.15, against_objects(call, case))
    for call in ("pack", "unpack")
    for case in "abcde"
]

# Name, package, the least speed of ours relative to it.
PACKAGES = [
    (f"record/{call}/{case}", package, goal, against_package(package, call, case))
    for package, call, goals in (
        ("construct", "pack", {"a": 40, "b": 40, "c": 40, "d": 40, "e": 40}),
        ("construct", "unpack", {"a": 10, "b": 10, "c": 5, "d": 10, "e": 10}),
        ("msgspec", "pack", {"a": 0.95, "b": 1, "c": 1, "d": 1, "e": 1}),
        ("msgspec", "unpack", {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}),
    )
    for case, goal in goals.items()
]
