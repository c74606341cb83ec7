"""Records as one packs them by hand: struct for what it knows, loops for the rest."""

from __future__ import annotations

import struct
from array import array
from typing import Any

PACKAGE = ""
HEADER = struct.Struct(">BBHIQd")
ITEM = struct.Struct(">HId")
U16 = struct.Struct(">H")
U32 = struct.Struct(">I")


def pack_a(values: tuple[Any, ...]) -> bytes:
    return HEADER.pack(*values)


def unpack_a(data: bytes) -> tuple[Any, ...]:
    return HEADER.unpack(data)


def pack_b(values: tuple[Any, ...]) -> bytes:
    first, second, numbers = values[0].encode(), values[1].encode(), values[2]
    packed = struct.pack(f">I{len(numbers)}I", len(numbers), *numbers)
    return b"".join((U16.pack(len(first)), first, U16.pack(len(second)), second, packed))


def unpack_b(data: bytes) -> tuple[Any, ...]:
    (size,) = U16.unpack_from(data, 0)
    first = data[2 : 2 + size].decode()
    at = 2 + size
    (size,) = U16.unpack_from(data, at)
    second = data[at + 2 : at + 2 + size].decode()
    at += 2 + size
    (count,) = U32.unpack_from(data, at)
    return first, second, list(struct.unpack_from(f">{count}I", data, at + 4))


def pack_c(values: tuple[Any, ...]) -> bytes:
    return struct.pack(f">I{len(values[0])}I", len(values[0]), *values[0])


def unpack_c(data: bytes) -> tuple[Any, ...]:
    (count,) = U32.unpack_from(data, 0)
    return (list(struct.unpack_from(f">{count}I", data, 4)),)


def pack_array(values: tuple[Any, ...]) -> bytes:
    swapped = array("I", values[0])
    swapped.byteswap()
    return U32.pack(len(swapped)) + swapped.tobytes()


def unpack_array(data: bytes) -> tuple[Any, ...]:
    values = array("I")
    values.frombytes(data[4:])
    values.byteswap()
    return (values,)


def pack_d(values: tuple[Any, ...]) -> bytes:
    head, items = values
    return b"".join([HEADER.pack(*head), U16.pack(len(items)), *[ITEM.pack(*item) for item in items]])


def unpack_d(data: bytes) -> tuple[Any, ...]:
    (count,) = U16.unpack_from(data, 24)
    return HEADER.unpack_from(data, 0), [ITEM.unpack_from(data, 26 + 14 * i) for i in range(count)]


def pack_e(values: tuple[Any, ...]) -> bytes:
    out = bytearray(U32.pack(len(values[0])))
    for number in values[0]:
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)
    return bytes(out)


def unpack_e(data: bytes) -> tuple[Any, ...]:
    (count,) = U32.unpack_from(data, 0)
    at, numbers = 4, []
    for _ in range(count):
        byte = data[at]
        at += 1
        number, shift = byte & 127, 7
        while byte > 127:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
        numbers.append(number)
    return (numbers,)
