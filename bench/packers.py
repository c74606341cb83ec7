"""Calls without classes: `Packer` against code written by hand (cases a to e of records.py), `Struct` against
`struct.Struct`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import framewire as fw

from .paired import Side, timed, unrolled
from .records import samples
from .rivals import records as rival

__all__ = ["ROWS", "STRUCTS"]

TEXTS = {
    "a": "u8 u8 u16 u32 u64 f64",
    "b": "str_u16 str_u16 u32[u32]",
    "c": "u32[u32]",
    "d": "(u8, u8, u16, u32, u64, f64) (u16, u32, f64)[u16]",
    "e": "varint[u32]",
}


def need_native() -> None:
    if fw.backend != "native":
        raise ImportError("the extension is not in use")


def against_hand(call: str, case: str) -> Callable[[int], tuple[Side, Side]]:
    """`pack` from values, or `unpack` to a tuple, several calls a repetition."""

    def make(stream: int) -> tuple[Side, Side]:
        need_native()
        packer, by_hand = fw.Packer(TEXTS[case]), getattr(rival, f"{call}_{case}")
        record = samples()[case]
        values, data = record.astuple(), record.pack()
        if call == "pack":
            ours = timed(unrolled("pack(*values)", 20, pack=packer.pack, values=values))
            theirs = timed(unrolled("by_hand(values)", 20, by_hand=by_hand, values=values))
            return Side(ours, lambda: packer.pack(*values)), Side(theirs, lambda: by_hand(values))
        ours = timed(unrolled("unpack(data)", 20, unpack=packer.unpack, data=data))
        theirs = timed(unrolled("by_hand(data)", 20, by_hand=by_hand, data=data))
        return Side(ours, lambda: plain(packer.unpack(data))), Side(theirs, lambda: plain(by_hand(data)))

    return make


def plain(value: Any) -> Any:
    """Lists as tuples, which is all that tells the two apart."""
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


HEADER = ">BBHIQd", (1, 2, 300, 70_000, 1 << 40, 2.5)
WORD = "!H", (300,)
NUMBERS = ">1000I", tuple(Random(1).randrange(1 << 32) for _ in range(1000))
FLOATS = "<4f", (1.5, -2.5, 3.0, 1e9)
TEXT = ">Hx8s?", (7, b"abcdefgh", True)


def against_struct(
    statement: str, format: str, values: tuple[Any, ...]
) -> Callable[[int], tuple[Side, Side]]:
    """The same statement with `s` of either class."""

    def make(stream: int) -> tuple[Side, Side]:
        need_native()
        data = struct.pack(format, *values)
        sides = []
        for s in (fw.Struct(format), struct.Struct(format)):
            room = bytearray(len(data) + 1)
            names = {"s": s, "values": values, "data": data, "view": memoryview(b"x" + data), "room": room}
            call = unrolled(f"return {statement}", 1, **names)
            prove = unrolled("return call(), bytes(room)", 1, call=call, room=room)
            sides.append(Side(timed(unrolled(statement, 20, **names)), prove))
        return sides[0], sides[1]

    return make


# Name, the most that ours may cost relative to the other.
ROWS = [
    (f"packer/{call}/{case}", goal, against_hand(call, case))
    for call, goals in {
        "pack": {"a": 0.70, "b": 0.15, "c": 0.30, "d": 0.25, "e": 0.05},
        "unpack": {"a": 1.00, "b": 0.50, "c": 0.95, "d": 0.80, "e": 0.09},
    }.items()
    for case, goal in goals.items()
]
STRUCTS = [
    (f"struct/{call}/{name}", 1.05, against_struct(statement, *case))
    for call, statement in {
        "pack": "s.pack(*values)",
        "pack_into": "s.pack_into(room, 1, *values)",
        "unpack": "s.unpack(data)",
        "unpack_from": "s.unpack_from(view, offset=1)",
        "iter_unpack": "[*s.iter_unpack(data)]",
    }.items()
    for name, case in {
        "header": HEADER,
        "word": WORD,
        "numbers": NUMBERS,
        "floats": FLOATS,
        "text": TEXT,
    }.items()
]
