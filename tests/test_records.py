"""Records on both backends: against struct and protocols' own examples; calls, classes, messages."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import re
import socket
import struct
import sys
import typing
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import IntEnum, IntFlag
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import framewire as fw
from framewire import _backend, fields

try:
    _backend.load("native")
    HAS_NATIVE = True
except ImportError:
    HAS_NATIVE = False
needs_native = pytest.mark.skipif(not HAS_NATIVE, reason="built without the extension")
Type = type(fw.Record)


def declared(
    name: str, annotations: dict[str, Any], given: dict[str, Any] | None = None, **options: Any
) -> Any:
    return Type(name, (fw.Record,), {"__annotations__": annotations, **(given or {})}, **options)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives or raises, with all that an error says."""
    try:
        return re.sub("<memory at 0x[0-9a-f]+>", "<memory>", repr(call()))
    except (fw.FramewireError, TypeError, IndexError, BufferError, ValueError, ZeroDivisionError) as error:
        return type(error), str(error), vars(error)


def sample() -> Any:
    """A class for the backend of the moment: once it is used, a class stays with its backend."""
    return declared("Sample", {"port": fw.u16, "addr": fw.u32, "load": fw.f64})


class Sample(fw.Record):
    port: fw.u16
    addr: fw.u32
    load: fw.f64


class Node(fw.Record):
    tag: fw.u8
    children: fw.list_u8[Node]


# --- one field ------------------------------------------------------------------------------------------

FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i8": "b", "i16": "h", "i32": "i", "i64": "q"}
FORMATS |= {"f16": "e", "f32": "f", "f64": "d"}
JUDGED = [(name, ">" + code) for name, code in FORMATS.items()]
JUDGED += [(f"{name}le", "<" + code) for name, code in FORMATS.items() if not name.endswith("8")]
VALUES = st.one_of(
    st.integers(-(1 << 64), 1 << 65),
    st.integers(-3, 300),
    st.sampled_from([(1 << n) + d for n in (7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, 0, 1)]),
    st.sampled_from([-(1 << n) + d for n in (7, 15, 31, 63) for d in (-1, 0, 1)]),
    st.floats(),
    st.floats(width=16),
    st.floats(width=32),
    st.booleans(),
    st.sampled_from([None, "7", b"7", 7j, 1 << 5000]),
)


@pytest.mark.parametrize(("name", "layout"), JUDGED)
def test_struct_is_the_judge(name: str, layout: str, backend: Any) -> None:
    judge = struct.Struct(layout)
    annotation = getattr(fw, name)
    one = declared("One", {"x": annotation})
    # A run of fields takes another way than a single one.
    several = declared("Several", {"a": annotation, "b": annotation, "c": annotation})

    @given(VALUES, st.binary(min_size=judge.size, max_size=judge.size))
    def check(value: Any, raw: bytes) -> None:
        try:
            wanted = judge.pack(value)
        except (struct.error, OverflowError):
            for record in (one(value), several(value, value, value)):
                with pytest.raises(fw.EncodeError):
                    record.pack()
            return
        assert one(value).pack() == wanted
        assert several(value, value, value).pack() == wanted * 3
        (read,) = judge.unpack(raw)
        for got in (one.unpack(raw).x, several.unpack(raw * 3).b):
            assert type(got) is type(read)
            assert struct.pack(layout, got) == struct.pack(layout, read)

    check()


@pytest.mark.parametrize(
    "name", [name for name, field in fields.NAMED.items() if field.spec[0] == fields.UINT]
)
def test_integers_at_their_limits(name: str, backend: Any) -> None:
    width, signed = int(name[1:].removesuffix("le")) // 8, name[0] == "i"
    order: Any = "little" if name.endswith("le") else "big"
    low, high = (-(1 << 8 * width - 1), (1 << 8 * width - 1) - 1) if signed else (0, (1 << 8 * width) - 1)
    cls = declared("One", {"x": getattr(fw, name)})
    assert cls.fixed_size == cls.min_size == width
    for value in (low, low + 1, -1 if signed else 1, 0, high - 1, high):
        packed = cls(value).pack()
        assert packed == value.to_bytes(width, order, signed=signed)
        assert cls.unpack(packed).x == value
    for value in (low - 1, high + 1):
        with pytest.raises(fw.EncodeError, match=rf"^One\.x: {value} is not in {low}\.\.{high}$") as caught:
            cls(value).pack()
        assert caught.value.path == "x"


NUMBERS = [
    *(
        "varint",
        "vlq",
        "quicvarint",
        "ber",
        "varint32",
        "zigzag",
        "zigzag32",
        "sleb128",
        "compactsize",
        "derlength",
        "leb128(4)",
        "leb128(canonical=True)",
        "digits(5)",
        "hexdigits(4)",
    ),
    *("digits(end=b' ')", "tiered(u8, {126: u16, 127: i64})"),
]


@pytest.mark.parametrize("call", NUMBERS)
def test_numbers_of_varying_width_are_those_of_lengths(call: str, backend: Any) -> None:
    field = eval(call, vars(fw))
    cls = declared("One", {"x": field})
    length = fw.LengthPrefixed(field, max_frame=None)
    for size in (0, 1, 9, 10, 100, 127, 128, 300, 9999, 16383, 16384, 65536):
        if size > field.maximum:
            with pytest.raises(fw.EncodeError, match=f"{size} is not in .*[0-9]..{field.maximum}"):
                cls(size).pack()
            continue
        wire = length.encode(bytes(size))[: -size or None]
        assert cls(size).pack() == wire
        assert cls.unpack(wire).x == size
    top = cls(field.maximum).pack()
    assert cls.unpack(top).x == field.maximum
    with pytest.raises(fw.EncodeError):
        cls(field.maximum + 1).pack()
    low = -field.maximum - 1 if field.spec[3] else 0
    assert cls.unpack(cls(low).pack()).x == low
    with pytest.raises(fw.EncodeError):
        cls(low - 1).pack()


@pytest.mark.parametrize(
    ("call", "wire", "text"),
    [
        ("varint", "ff" * 11, "the number at offset 0 has too many bits"),
        ("leb128(4)", "8080808001", "the number at offset 0 is too long"),
        ("leb128(1)", "8001", "the number at offset 0 is too long"),
        ("leb128(canonical=True)", "8000", "the number at offset 0 is not in its shortest form"),
        ("ber", "80", "the number at offset 0 begins with a byte that cannot be"),
        ("varint32", "ffffffff10", "the number at offset 0 has too many bits"),
        ("varint32", "ffffffff8f00", "the number at offset 0 is too long"),
        ("zigzag", "ff" * 9 + "02", "the number at offset 0 has too many bits"),
        ("zigzag32", "ffffffff10", "the number at offset 0 has too many bits"),
        ("sleb128", "ff" * 9 + "01", "the number at offset 0 has too many bits"),
        ("sleb128", "ff" * 10, "the number at offset 0 is too long"),
        ("compactsize", "fdfc00", "the number at offset 0 is not in its shortest form"),
        ("compactsize", "feffff0000", "the number at offset 0 is not in its shortest form"),
        ("compactsize", "ffffffffff00000000", "the number at offset 0 is not in its shortest form"),
        ("derlength", "80", "the number at offset 0 begins with a byte that cannot be"),
        ("derlength", "817f", "the number at offset 0 is not in its shortest form"),
        ("derlength", "820080", "the number at offset 0 is not in its shortest form"),
        ("digits(2)", "3178", "a byte of the number at offset 0 is no digit"),
        ("digits(end=b' ')", "303120", "the number at offset 0 begins with a zero"),
        (
            "tiered(u8, {127: i64}, direct=3)",
            "04",
            "the number at offset 0 begins with a byte that cannot be",
        ),
        ("tiered(u8, {127: i64})", "7fffffffffffffffff", "the number at offset 0 is negative"),
    ],
)
def test_numbers_that_cannot_be(call: str, wire: str, text: str, backend: Any) -> None:
    cls = declared("One", {"x": eval(call, vars(fw))})
    for read in (cls.unpack, cls.missing):
        with pytest.raises(fw.RecordError) as caught:
            read(bytes.fromhex(wire))
        error = caught.value
        assert (str(error), error.reason, error.offset) == (f"One.x: {text}", "bad-number", 0)


def test_bool(backend: Any) -> None:
    cls = declared("One", {"x": bool})
    assert (cls(True).pack(), cls(False).pack()) == (b"\1", b"\0")
    assert [cls.unpack(bytes([n])).x for n in (0, 1, 2, 255)] == [False, True, True, True]
    with pytest.raises(fw.EncodeError, match=r"^One\.x: a bool is needed, not int$"):
        cls(1).pack()


@pytest.mark.parametrize("prefix", ["u8", "u16"])
def test_strings_and_bytes_at_the_limit_of_their_size(prefix: str, backend: Any) -> None:
    most = getattr(fw, prefix).maximum
    text = declared("Text", {"x": getattr(fw, f"str_{prefix}")})
    data = declared("Data", {"x": getattr(fw, f"bytes_{prefix}")})
    for size in (0, 1, most - 1, most):
        wire = getattr(fw, f"u{8 * getattr(fw, prefix).widest}")
        head = size.to_bytes(wire.widest, "big")
        assert text("a" * size).pack() == data(b"a" * size).pack() == head + b"a" * size
        assert text.unpack(head + b"a" * size).x == "a" * size
        assert data.unpack(head + b"a" * size).x == b"a" * size
    for record in (text("a" * (most + 1)), data(bytes(most + 1)), text("é" * (most // 2 + 1))):
        message = f"{most + 1} bytes are too many: at most {most}"
        with pytest.raises(fw.EncodeError, match=message) as caught:
            record.pack()
        assert (caught.value.size, caught.value.limit, caught.value.path) == (most + 1, most, "x")


def test_text_is_utf8(backend: Any) -> None:
    cls = declared("One", {"skip": fw.u8, "x": fw.str_u8})
    for text in ("", "a", "é", "€", "𝄞", "a\0b", "é" * 100):
        raw = text.encode()
        assert cls(0, text).pack() == bytes([0, len(raw)]) + raw
        assert cls.unpack(bytes([0, len(raw)]) + raw).x == text
    for raw, at in ((b"\xff", 0), (b"ab\xc3", 2), (b"a\xed\xa0\x80", 1), (b"\xc0\x80", 0)):
        with pytest.raises(fw.RecordError) as caught:
            cls.unpack(bytes([0, len(raw)]) + raw)
        assert str(caught.value) == f"One.x: the byte 0x{raw[at]:02x} at offset {2 + at} is no UTF-8"
        assert (caught.value.reason, caught.value.offset) == ("bad-text", 2 + at)
    with pytest.raises(fw.EncodeError, match=r"One.x: the character '\\udc80' at index 1 is no text"):
        cls(0, "a\udc80").pack()


def test_bytes_take_any_contiguous_buffer(backend: Any) -> None:
    cls = declared("One", {"x": fw.bytes_u8, "y": fw.rest})
    for value in (b"ab", bytearray(b"ab"), memoryview(b"ab"), array("B", b"ab")):
        assert cls(value, value).pack() == b"\2abab"
    assert type(cls.unpack(bytearray(b"\2abab")).x) is type(cls.unpack(b"\2abab").y) is bytes
    for value in ("ab", 2, None, memoryview(b"a-b")[::2]):
        with pytest.raises(fw.EncodeError, match=r"^One\.x: a contiguous buffer is needed, not "):
            cls(value, b"").pack()
        with pytest.raises(fw.EncodeError, match=r"^One\.y: a contiguous buffer is needed, not "):
            cls(b"", value).pack()


ARRAYS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i8": "b", "i16": "h", "i32": "i", "i64": "q"}
ARRAYS |= {"f32": "f", "f64": "d", "u16le": "H", "i32le": "i", "f64le": "d"}


@pytest.mark.parametrize(("name", "code"), ARRAYS.items())
def test_arrays_are_in_the_machines_order(name: str, code: str, backend: Any) -> None:
    cls = declared("One", {"x": fw.array_u16[getattr(fw, name)]})
    layout = ("<" if name.endswith("le") else ">") + f"{{}}{code}"
    for values in ([], [1], [0, 1, 2, 100], list(range(101))):
        wire = len(values).to_bytes(2, "big") + struct.pack(layout.format(len(values)), *values)
        for given_as in (array(code, values), values, tuple(values), memoryview(array(code, values))):
            assert cls(given_as).pack() == wire
        got = cls.unpack(wire).x
        assert (type(got), got.typecode, got) == (array, code, array(code, values))
    other = array("d" if code == "f" else "f", [1.0])
    with pytest.raises(
        fw.EncodeError, match=f"items of type '{other.typecode}' of .* no array of type '{code}'"
    ):
        cls(other).pack()
    for value in ("ab", 7, None):
        with pytest.raises(fw.EncodeError, match="a contiguous buffer is needed"):
            cls(value).pack()
    with pytest.raises(fw.EncodeError, match=r"^One\.x\[1\]: "):
        cls([1, "2"]).pack()
    big = memoryview(array("I", [1])).cast("B").cast("I") if code == "I" else None
    assert big is None or cls(big).pack() == b"\0\1\0\0\0\1"


def test_constants_and_padding(backend: Any) -> None:
    class Hello(fw.Record):
        magic: bytes = fw.const(b"HI")
        version: fw.u16 = fw.const(3)
        name: fw.str_u8 = fw.const("x")
        hole: bytes = fw.pad(2)
        mode: fw.u8
        tail: bytes = fw.pad(1)

    hello = Hello(9)
    assert hello.pack() == b"HI\0\3\1x\0\0\x09\0"
    assert (hello.magic, Hello.version, hello.name, hello.hole) == (b"HI", 3, "x", bytes(2))
    assert Hello.unpack(b"HI\0\3\1x??\x09?") == hello
    assert (Hello.fixed_size, Hello.__match_args__, repr(hello)) == (10, ("mode",), "Hello(mode=9)")
    for read in (Hello.unpack, Hello.missing):
        with pytest.raises(fw.RecordError) as caught:
            read(b"HI\0\4\1x??\x09?")
        error = caught.value
        assert str(error) == "Hello.version: 00 03 must stand at offset 2, not 00 04"
        assert (error.record, error.path, error.reason) == ("Hello", "version", "bad-magic")
    with pytest.raises(AttributeError):
        hello.magic = b"XX"
    with pytest.raises(TypeError):
        Hello(magic=b"HI", mode=9)  # type: ignore[call-arg]


class Kind(IntEnum):
    PING = 1
    PONG = 2
    BYE = 255


def test_enumerations(backend: Any) -> None:
    class Closed(fw.Record):
        skip: fw.u8
        kind: Kind = fw.enumerated(fw.u16)

    class Open(fw.Record):
        kind: Kind | int = fw.enumerated(fw.varint, open=True)

    for kind, wire in ((Kind.PING, b"\0\1"), (Kind.BYE, b"\0\xff")):
        assert Closed(7, kind).pack() == Closed(7, int(kind)).pack() == b"\7" + wire  # type: ignore[arg-type]
        assert Closed.unpack(b"\7" + wire).kind is kind
        assert Closed.missing(b"\7" + wire) == 0 and Closed.missing(b"\7" + wire[:1]) == 1
    for read in (Closed.unpack, Closed.missing):
        with pytest.raises(fw.RecordError) as caught:
            read(b"\7\0\3")
        error = caught.value
        assert (str(error), error.reason) == ("Closed.kind: 3 at offset 1 is no Kind", "bad-value")
    for value, text in ((3, "3 is no Kind"), (-1, "-1 is no Kind"), ("x", "an int is needed, not str")):
        with pytest.raises(fw.EncodeError, match=rf"^Closed\.kind: {text}$"):
            Closed(7, value).pack()  # type: ignore[arg-type]
    assert Open.unpack(b"\2").kind is Kind.PONG and Open.unpack(b"\xac\2").kind == 300
    assert Open(300).pack() == b"\xac\2" and Open(Kind.BYE).pack() == b"\xff\1"
    with pytest.raises(fw.EncodeError, match=r"^Open\.kind: -1 is not in 0\.\."):
        Open(-1).pack()
    assert (Closed.fixed_size, Open.fixed_size, Open.min_size) == (3, None, 1)


# --- calls ----------------------------------------------------------------------------------------------


def test_the_calls(backend: Any) -> None:
    class Item(fw.Record):
        kind: fw.u8
        name: fw.str_u8

    item = Item(7, "abc")
    wire = b"\7\3abc"
    assert item.pack() == Item.pack(item) == wire
    assert item.size_of() == Item.size_of(item) == 5
    out = bytearray(b"..")
    assert item.append_to(out) is None and out == b".." + wire
    room = bytearray(9)
    assert item.pack_into(room) == 5 and room == wire + bytes(4)
    assert item.pack_into(memoryview(room), offset=4) == 9 and room == wire[:4] + wire
    assert Item.unpack(wire) == Item.unpack(bytearray(wire)) == Item.unpack(memoryview(wire)) == item
    assert Item.unpack_from(b"." + wire + b".", 1) == (item, 6)
    assert list(Item.iter_unpack(wire * 3)) == Item.unpack_many(wire * 3, 3) == [item] * 3
    assert list(Item.iter_unpack(b"")) == Item.unpack_many(b"", 0) == []
    assert (Item.missing(wire), Item.missing(wire + b"more"), Item.missing(b"..", 2)) == (0, 0, 2)
    assert (Item.min_size, Item.fixed_size) == (2, None)


def test_the_calls_refuse(backend: Any) -> None:
    class Item(fw.Record):
        kind: fw.u16

    item, room = Item(7), bytearray(3)
    for offset in (-1, 4, 1 << 70):
        with pytest.raises(IndexError, match=f"^the offset {offset} is not in the buffer of 3 bytes$"):
            item.pack_into(room, offset)
        with pytest.raises(IndexError):
            Item.unpack_from(room, offset)
        with pytest.raises(IndexError):
            Item.missing(room, offset)
    with pytest.raises(BufferError, match="^2 bytes at offset 2 do not fit into a buffer of 3 bytes$"):
        item.pack_into(room, 2)
    with pytest.raises(TypeError, match=r"^pack_into: the buffer is read-only \(bytes\)$"):
        item.pack_into(b"...", 0)
    with pytest.raises(TypeError, match="^append_to: a bytearray is needed, not list$"):
        item.append_to([])  # type: ignore[arg-type]
    held = memoryview(room)
    with pytest.raises(BufferError):
        item.append_to(room)
    assert held == bytes(3)
    for call in (Item.unpack, Item.unpack_from, Item.missing):
        with pytest.raises(TypeError):
            call("text")  # type: ignore[operator]
        with pytest.raises(BufferError):
            call(memoryview(b"a-b-")[::2])  # type: ignore[operator]
    with pytest.raises(ValueError, match="^count=-1 must be at least 0$"):
        Item.unpack_many(b"", -1)
    with pytest.raises(fw.RecordError, match=r"^Item\[1\]\.kind: 2 bytes needed at offset 2, 1 left$"):
        Item.unpack_many(b"...", 1 << 70)
    for call in (Item.unpack, lambda data: Item.unpack_many(data, 1)):
        with pytest.raises(fw.RecordError, match="^Item: 1 bytes too many at offset 2$") as caught:
            call(b"...")  # type: ignore[operator]
        assert caught.value.reason == "trailing-bytes"
    with pytest.raises(fw.RecordError, match=r"^Item\.kind: 2 bytes needed at offset 2, 1 left$"):
        list(Item.iter_unpack(b"..."))
    for call in (Item.pack, Item.size_of):
        with pytest.raises(TypeError, match="Sample"):
            call(Sample(1, 2, 3.0))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        item.pack(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        item.pack(x=1)  # type: ignore[call-arg]
    with pytest.raises(fw.EncodeError):
        Item("x").pack_into(room)  # type: ignore[arg-type]
    assert room == bytes(3), "a refused record writes nothing"


def test_errors_name_record_path_index_and_offset(backend: Any) -> None:
    Load = sample()

    class Report(fw.Record):
        name: fw.str_u16
        samples: fw.list_u16[Load]

    report = Report("n" * 22, [Load(n, n, n / 2) for n in range(20)])
    with pytest.raises(fw.RecordError) as caught:
        Report.unpack(report.pack()[:200])
    error = caught.value
    assert str(error) == "Report.samples[12].load: 8 bytes needed at offset 200, 0 left"
    assert (error.record, error.path, error.offset) == ("Report", "samples[12].load", 200)
    assert (error.reason, error.recoverable) == ("truncated", False)
    report.samples[12].load = "x"  # type: ignore[assignment]
    with pytest.raises(fw.EncodeError) as refused:
        report.pack()
    assert str(refused.value) == "Report.samples[12].load: a float is needed, not str"
    assert refused.value.path == "samples[12].load"
    del report.name
    with pytest.raises(fw.EncodeError, match=r"^Report\.name: it has no value$"):
        report.pack()


# --- classes --------------------------------------------------------------------------------------------


def test_construction(backend: Any) -> None:
    class Item(fw.Record):
        a: fw.u8
        b: fw.u8 = 2
        c: fw.list_u8[fw.u8] = []
        d: fw.array_u8[fw.u8] = array("B", b"x")

    item = Item(1)
    assert (item.a, item.b, item.c, item.d) == (1, 2, [], array("B", b"x"))
    item.c.append(1)
    item.d.append(1)
    assert Item(1) == Item(1, 2, [], array("B", b"x")) == Item(d=array("B", b"x"), a=1) != item
    for call in (Item, lambda: Item(1, 2, [], item.d, 5), lambda: Item(1, nonsense=2)):
        with pytest.raises(TypeError):
            call()  # type: ignore[operator]
    with pytest.raises(AttributeError):
        item.other = 1  # type: ignore[attr-defined]
    assert Item.__match_args__ == ("a", "b", "c", "d")
    match item:
        case Item(1, b, [1]):
            assert b == 2
        case _:
            pytest.fail("no match")


def test_a_call_of_the_class_is_its_init(backend: Any) -> None:
    """Whatever the arguments are, without what the backend may put in its place."""

    class Item(fw.Record):
        a: fw.u8
        b: fw.u8
        c: fw.list_u8[fw.u8] = EMPTY
        d: fw.u8 = 4

    class Named(fw.Record, frozen=True, kw_only=True):
        a: fw.u8 = 1
        b: fw.list_u8[fw.u8] = EMPTY

    @given(
        st.lists(st.sampled_from([1, "x", None, EMPTY]), max_size=5),
        st.dictionaries(st.sampled_from("abcde"), st.sampled_from([1, "x", EMPTY])),
    )
    def check(plain: list[Any], named: dict[str, Any]) -> None:
        for cls in (Item, Named):
            init = partial(type.__call__, cls)
            assert _outcome(cls, plain, named) == _outcome(init, plain, named)

    check()


EMPTY: list[int] = []


def _outcome(call: Any, plain: list[Any], named: dict[str, Any]) -> Any:
    try:
        record = call(*plain, **named)
    except TypeError as error:
        return str(error)
    values = {name: getattr(record, name) for name in type(record)._layout.names}
    return values, [name for name, value in values.items() if value is EMPTY]


def test_a_class_may_have_an_init_of_its_own(backend: Any) -> None:
    class Own(fw.Record):
        a: fw.u8

        def __init__(self, text: str) -> None:
            self.a = int(text)

    class Below(Own):
        b: fw.u8

    class New(fw.Record):
        a: fw.u8

        def __new__(cls, *given: int) -> New:
            made.append(cls)
            return object.__new__(cls)

    class Sets(fw.Record):
        a: fw.u8

        def __setattr__(self, name: str, value: object) -> None:
            made.append(name)
            object.__setattr__(self, name, value)

    made: list[object] = []
    assert Own("7").a == 7 and Below(1, 2).pack() == b"\1\2"  # type: ignore[call-arg, arg-type]
    assert New(3).a == 3 and Sets(4).a == 4 and made == [New, "a"]
    New.__init__ = Sets.__init__ = Below.__init__ = lambda self, *given: made.append(given)  # type: ignore
    assert isinstance(Below(5), Below) and made[-1] == (5,)


def test_names_of_fields_are_free(backend: Any) -> None:
    names = ["a", "set_a", "default_a", "v0", "record", "cls", "other", "data", "names", "step", "new", "out"]
    for frozen in (False, True):
        cls = declared("Free", dict.fromkeys(names, fw.u8), {names[-1]: 7}, frozen=frozen)
        record = cls(*range(len(names) - 1))
        assert record.pack() == bytes([*range(len(names) - 1), 7])
        assert cls.unpack(record.pack()) == record == record.replace()


def test_options_and_inheritance(backend: Any) -> None:
    class Base(fw.Record, frozen=True, kw_only=True):
        a: fw.u8
        b: fw.u8 = 2

    class More(Base, frozen=True, kw_only=True):
        c: fw.u16

    more = More(c=3, a=1)
    assert more.pack() == b"\1\2\0\3" and Base(a=1).pack() == b"\1\2"
    assert More.unpack(b"\1\2\0\3") == more != Base(a=1)
    assert type(More.unpack_from(b"\1\2\0\3")[0]) is More and repr(more) == "More(a=1, b=2, c=3)"
    assert hash(more) == hash(More(a=1, c=3)) and {more: 1}[More(a=1, b=2, c=3)] == 1
    assert not hasattr(More, "__match_args__")
    for change in (lambda: setattr(more, "a", 2), lambda: delattr(more, "a")):
        with pytest.raises(AttributeError, match="More is frozen"):
            change()
    with pytest.raises(TypeError):
        More(1, 2, 3)  # type: ignore[misc]
    with pytest.raises(TypeError):
        hash(Sample(1, 2, 3.0))

    class Holder(fw.Record):
        base: Base

    assert Holder(more).pack() == b"\1\2", "in a field of the base's type it is cut to the base"


@pytest.mark.parametrize("record", [Sample(1, 2, 3.5), Node(1, [Node(2, []), Node(3, [])])])
def test_copies(record: Any) -> None:
    others = [pickle.loads(pickle.dumps(record, protocol)) for protocol in range(2, 6)]
    for other in [*others, copy.copy(record), copy.deepcopy(record), record.replace()]:
        assert other == record and other is not record and type(other) is type(record)
        assert other.pack() == record.pack()
    if isinstance(record, Node):
        assert copy.copy(record).children is record.children
        assert copy.deepcopy(record).children is not record.children
        assert record.astuple() == (1, [(2, []), (3, [])])
        assert record.asdict()["children"][1] == {"tag": 3, "children": []}
    with pytest.raises(TypeError):
        record.replace(nonsense=1)


def test_equality_is_of_class_and_values() -> None:
    class Other(fw.Record):
        port: fw.u16
        addr: fw.u32
        load: fw.f64

    assert Sample(1, 2, 3.0) == Sample(1, 2, 3.0)
    assert Sample(1, 2, 3.0) != Sample(1, 2, 4.0)
    assert Sample(1, 2, 3.0) != Other(1, 2, 3.0)
    assert Sample(1, 2, 3.0) != (1, 2, 3.0)


def test_annotations_of_every_kind(backend: Any) -> None:
    class Late(fw.Record):
        first: fw.list_u8[Later]  # noqa: F821
        size: int = fw.leb128(2)

    with pytest.raises(fw.DeclarationError, match="^Late: name 'Later' is not defined$"):
        Late.unpack(b"")
    made = declared("Made", {"a": fw.u8, "b": fw.list_u8["Made"], "c": "fw.u8"})
    assert made.unpack(b"\1\1\2\0\3\4") == made(1, [made(2, [], 3)], 4)


def broken(**annotations: Any) -> Callable[[], Any]:
    return lambda: declared("Bad", annotations).min_size


class Empty(fw.Record):
    pass


class Selfish(fw.Record):
    other: Selfish


class Tail(fw.Record):
    data: fw.rest


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (broken(a=int), "Bad.a: int does not say how it is packed"),
        (broken(a="str"), "Bad.a: str does not say how it is packed"),
        (broken(a=list[int]), r"Bad.a: list does not say how it is packed: use list_u16\[...\], = list_of"),
        (broken(a=list), "Bad.a: list does not say how it is packed: use list_u16"),
        (broken(a=Kind), r"Bad.a: Kind does not say how it is packed: use = enumerated\(u8\)"),
        (broken(a=fw.str_u8 | None), r"Bad.a: str_u8 \| None does not say .*: use = when\(...\)"),
        (
            broken(a=int | None),
            r"Bad.a: int \| None does not say .*: use = when\(...\), or a type with null=",
        ),
        (lambda: declared("Bad", {"a": Kind}, {"a": fw.u8}), "Bad.a: u8 gives no Kind: use enumerated"),
        (lambda: declared("Bad", {"a": "Kind | int"}, {"a": fw.u8}).min_size, "Bad.a: u8 gives no Kind"),
        (lambda: declared("Bad", {"a": bool}, {"a": fw.u8}), "Bad.a: u8 gives no bool: the annotation alone"),
        (lambda: declared("Bad", {}, {"__post_init__": print}), "Bad.__post_init__: nothing calls it"),
        (lambda: declared("Bad", {}, {"a": fw.u8}), "Bad.a: a field has an annotation: `a: u8`, say"),
        (lambda: declared("Bad", {"b": fw.u8}, {"a": fw.fixed(8)}), "Bad.a: a field has an annotation"),
        (broken(a=fw.list_u8), "Bad.a: list_u8 of what?"),
        (broken(a=fw.list_u8[int]), "Bad.a: int does not say"),
        (broken(a=fw.list_u8[Empty]), "Bad.a: its items have no bytes"),
        (broken(a=fw.list_u8[fw.list_u8[fw.list_u8[fw.list_u8[fw.u8]]]]), "Bad.a: lists within lists"),
        (broken(a=fw.list_u8[fw.list_u8[fw.list_u8[fw.array_u8[fw.u8]]]]), "Bad.a: lists within lists"),
        (broken(a=fw.array_u8[fw.u24]), "Bad.a: an array is of integers of 1, 2, 4 or 8 bytes"),
        (broken(a=fw.array_u8[fw.f16]), "Bad.a: an array is of integers"),
        (broken(a=fw.array_u8[fw.varint]), "Bad.a: an array is of integers"),
        (broken(a=fw.array_u8[Sample]), "Bad.a: an array is of integers"),
        (broken(a=fw.rest, b=fw.u8), "Bad.a: rest must be the last field"),
        (broken(a=fw.list_u8[fw.rest]), "Bad.a: rest cannot be in a list"),
        (broken(a=fw.list_u8[Tail]), "Bad.a: rest cannot be in a list"),
        (
            broken(a=fw.tiered(fw.u8, {127: fw.u16}, mask=127, follow=(128, 4))),
            "Bad.a: tiered.* belong to a header",
        ),
        (broken(pack=fw.u8), "Bad.pack: a field cannot have the name of a call"),
        (broken(self=fw.u8), "Bad.self: a field cannot have the name of a call"),
        (broken(**{"a b": fw.u8}), "Bad.a b: a field needs a name that Python can say"),
        (broken(**{"class": fw.u8}), "Bad.class: a field needs a name that Python can say"),
        (broken(__init__=fw.u8), "Bad.__init__: a field cannot have the name of a call"),
        (lambda: declared("Bad", {}, {"pack": len}), "Bad.pack: the calls of records cannot be replaced"),
        (lambda: declared("Bad", {"a": fw.u8, "b": fw.u8}, {"a": 1}), "Bad.b: a field without default"),
        (lambda: declared("Bad", {"a": fw.list_u8[fw.u8]}, {"a": [1]}), "Bad.a: the default of a list"),
        (lambda: declared("Bad", {"a": Sample}, {"a": Sample(1, 2, 3.0)}), "Bad.a: a record as default"),
        (
            lambda: declared("Bad", {"a": fw.u8}, {"a": fw.const(256)}),
            "Bad.a: const.value: 256 is not in 0..255",
        ),
        (lambda: declared("Bad", {"a": bytes}, {"a": fw.const("x")}), "Bad.a: a constant must be some bytes"),
        (lambda: declared("Bad", {"a": bytes}, {"a": fw.const(b"")}), "Bad.a: a constant must be some bytes"),
        (
            lambda: declared("Bad", {"a": int}, {"a": fw.enumerated(fw.u8)}),
            "Bad.a: enumerated.u8. needs an Int",
        ),
        (
            lambda: declared("Bad", {"a": IntFlag}, {"a": fw.enumerated(fw.u8)}),
            "Bad.a: enumerated.u8. needs an I",
        ),
        (lambda: Type("Bad", (Sample,), {}, frozen=True), "Bad: frozen must be what it is in Sample"),
        (lambda: Selfish.unpack(b""), "Selfish: it contains itself"),
        (lambda: fw.pad(0), "pad: count=0 must be at least 1"),
        (lambda: fw.Record().pack(), "Record: declare a class of your own"),
        (lambda: list(Empty.iter_unpack(b"x")), "Empty: it may have no bytes"),
        (lambda: declared("Bad", {}).unpack_many(b"", 1 << 40), "Bad: it may have no bytes"),
        (lambda: declared("Bad", {"x": fw.rest}).unpack_many(b"x", 1 << 40), "Bad: it may have no bytes"),
    ],
)
def test_what_cannot_be_declared(make: Callable[[], Any], text: str, backend: Any) -> None:
    with pytest.raises(fw.DeclarationError, match=f"^{text}"):
        make()


def test_a_slot_is_a_slot(backend: Any) -> None:
    """The native backend reaches for the slots without looking: whatever else has the name is refused."""

    with pytest.raises(fw.DeclarationError, match=r"Shadow\.port: something else has the name of this field"):
        Type("Shadow", (Sample,), {"port": property(lambda self: 1)})

    class Borrowed(fw.Record):
        x: fw.u8

    Borrowed.x = Node.tag
    with pytest.raises(fw.DeclarationError, match="something else has the name of this field"):
        Borrowed.unpack(b"")
    with pytest.raises(TypeError):
        Type("Both", (fw.Record, dict), {"__annotations__": {"x": fw.u8}}).unpack(b"\1")


def module_of(name: str, source: str, monkeypatch: pytest.MonkeyPatch, **names: Any) -> Any:
    """A module of its own, with its own meaning of names."""
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    vars(module).update(fw=fw, **names)
    exec("from __future__ import annotations\n" + source, vars(module))
    return module


def test_an_inherited_field_means_what_it_meant(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "class Base(fw.Record):\n x: Id\n"
    first = module_of("first_of_records", source, monkeypatch, Id=fw.u16)
    names = {"Base": first.Base, "Id": fw.u64}
    later = module_of("later_of_records", "class Sub(Base):\n y: Id\n", monkeypatch, **names)
    assert later.Sub(1, 2).pack() == b"\0\1" + bytes(7) + b"\2"
    waiting = module_of("waiting_of_records", source.replace("Id", "Late"), monkeypatch)
    names = {"Base": waiting.Base, "Late": fw.u32}
    sub = module_of("sub_of_records", "class Sub(Base):\n y: fw.u8\n", monkeypatch, **names).Sub
    with pytest.raises(fw.DeclarationError, match="name 'Late' is not defined"):
        sub(1, 2).pack()
    waiting.Late = fw.u8
    assert sub(1, 2).pack() == b"\1\2"


def test_types_in_the_body_of_a_class(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
class Message(fw.Record):
    Kind = Own
    kind: Kind = fw.enumerated(fw.u8)
    size: "fw.u8"
"""
    cls = module_of("body_of_records", source, monkeypatch, Own=IntEnum("Kind", "A B")).Message
    assert cls(2, 1).pack() == b"\2\1" and cls.unpack(b"\1\0").kind.name == "A"


def test_bases_that_have_fields(backend: Any) -> None:
    class Mixin(fw.Record):
        def twice(self) -> int:
            return 2 * self.x  # type: ignore[attr-defined, no-any-return]

    class X(fw.Record):
        __slots__ = ("cache",)
        x: fw.u8

    class Y(fw.Record):
        y: fw.u8

    class Both(Mixin, X):
        z: fw.u8

    record = Both(3, 4)
    record.cache = 5
    assert record.pack() == b"\3\4" and (record.twice(), record.cache) == (6, 5)
    with pytest.raises(fw.DeclarationError, match="XY: X and Y both have fields"):
        Type("XY", (X, Y), {})
    frozen = Type("Frozen", (fw.Record,), {}, frozen=True)
    with pytest.raises(fw.DeclarationError, match="frozen must be what it is in Frozen"):
        Type("Sub", (frozen,), {"__annotations__": {"x": fw.u8}})
    for name in ("self", "_layout", "_program"):
        with pytest.raises(fw.DeclarationError, match="cannot have the name"):
            Type("Own", (fw.Record,), {"__annotations__": {name: fw.u8}})


def test_a_base_packs_its_own_fields_from_the_first_call_on(backend: Any) -> None:
    class Base(fw.Record):
        x: fw.u8

    class Sub(Base):
        y: fw.u8

        def head(self) -> bytes:
            return super().pack()

    for _ in range(2):
        assert Sub(1, 2).head() == Base.pack(Sub(1, 2)) == b"\1"
        assert Sub(0, 0).unpack(b"\1\2") == Sub(1, 2)


def test_class_variables_are_no_fields(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
class ClassVariant(fw.Record):
    x: fw.u8
class Outer(fw.Record):
    level: tp.ClassVar[int] = 3
    inner: "ClassVariant"
"""
    outer = module_of("variables_of_records", source, monkeypatch, tp=typing).Outer
    assert outer.level == 3 and outer.unpack(b"\5").inner.x == 5


def test_threads_share_a_first_use(backend: Any) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            kind = fw.u16

            class Late(fw.Record):
                x: kind  # type: ignore[valid-type]
                y: last  # type: ignore[name-defined]  # noqa: F821

            Late._layout.scope[1]["last"] = fw.u8  # type: ignore[attr-defined]
            with ThreadPoolExecutor(6) as pool:
                assert set(pool.map(lambda _: Late(1, 2).pack(), range(6))) == {b"\0\1\2"}
    finally:
        sys.setswitchinterval(interval)


def test_what_is_refused_is_let_go(backend: Any) -> None:
    """No cycle holds it: a buffer can be resized at once."""
    gc.disable()
    try:
        data = bytearray(b"\0\5ab")
        for call in (
            Sample.unpack,
            Sample.unpack_from,
            Sample.missing,
            lambda view: Sample.unpack_many(view, 3),
        ):
            with suppress(fw.RecordError):
                call(memoryview(data))
            data.append(0)
    finally:
        gc.enable()


def test_a_list_is_what_its_class_says_it_is(backend: Any) -> None:
    class Odd(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            return iter([9] * len(self))

    class Numbers(fw.Record):
        values: fw.list_u8[fw.u8]

    assert Numbers(Odd([1, 2])).pack() == b"\2\1\2"


# --- protocols ------------------------------------------------------------------------------------------


def test_dns_header_and_question(backend: Any) -> None:
    """RFC 1035 section 4.1.1: a query for example.com, recursion desired."""

    class Header(fw.Record):
        id: fw.u16
        flags: fw.u16
        questions: fw.u16
        answers: fw.u16 = 0
        authorities: fw.u16 = 0
        additional: fw.u16 = 0

    wire = bytes.fromhex("1234 0100 0001 0000 0000 0000")
    assert Header(0x1234, 0x0100, 1).pack() == wire and Header.fixed_size == 12
    header, end = Header.unpack_from(wire + b"\7example\3com\0\0\1\0\1")
    assert (header.id, header.flags >> 8 & 1, end) == (0x1234, 1, 12)


def test_mqtt_connect(backend: Any) -> None:
    """MQTT 3.1.1 sections 3.1.2 and 3.1.3: the variable header and the payload of CONNECT."""

    class Connect(fw.Record):
        protocol: fw.str_u16 = fw.const("MQTT")
        level: fw.u8 = fw.const(4)
        flags: fw.u8
        keep_alive: fw.u16
        client: fw.str_u16

    class Packet(fw.Record):
        kind: fw.u8
        body: fw.bytes_varint

    body = bytes.fromhex("00044d515454 04 02 003c 0003 616263")
    assert Connect(2, 60, "abc").pack() == body
    assert Packet(0x10, Connect(2, 60, "abc").pack()).pack() == b"\x10\x0f" + body
    assert Connect.unpack(Packet.unpack(b"\x10\x0f" + body).body).client == "abc"
    with pytest.raises(fw.RecordError, match=r"^Connect\.level: 04 must stand at offset 6, not 05$"):
        Connect.unpack(body.replace(b"T\x04", b"T\x05"))


def test_postgresql_messages(backend: Any) -> None:
    """PostgreSQL's protocol 3.0, "Message Formats": BackendKeyData and ReadyForQuery."""

    class BackendKeyData(fw.Record):
        length: fw.u32 = fw.const(12)
        process: fw.i32
        secret: fw.i32

    class ReadyForQuery(fw.Record):
        length: fw.u32 = fw.const(5)
        status: fw.u8

    messages = fw.Messages(fw.u8, {ord("K"): BackendKeyData, ord("Z"): ReadyForQuery})
    key, ready = BackendKeyData(4711, -2), ReadyForQuery(ord("I"))
    assert messages.encode(key) == bytes.fromhex("4b 0000000c 00001267 fffffffe")
    assert messages.encode(ready) == b"Z\0\0\0\5I"
    framing = fw.protocols.POSTGRESQL.server
    stream = messages.encode(key) + messages.encode(ready)
    assert [messages.decode(frame) for frame in framing.decoder().decode(stream)] == [key, ready]


# --- messages -------------------------------------------------------------------------------------------


def login_and_chat() -> tuple[Any, Any]:
    return declared("Login", {"user": fw.str_u8}), declared("Chat", {"text": fw.str_u16})


def test_messages_over_a_connection(backend: Any) -> None:
    Login, Chat = login_and_chat()
    messages = fw.Messages(fw.u8, {1: Login, 2: Chat})
    left, right = socket.socketpair()
    framing = fw.LengthPrefixed(fw.u16)
    with (
        fw.MessageSocket(left, framing, codec=messages) as one,
        fw.MessageSocket(right, framing, codec=messages) as other,
    ):
        for message in (Login("bob"), Chat("hello" * 1000), Login("")):
            one.send(message)
            assert other.recv(timeout=5) == message
        with pytest.raises(fw.EncodeError, match="^Messages: one of Login, Chat is needed, not Sample$"):
            one.send(Sample(1, 2, 3.0))
        one.send(Login("still there"))
        assert other.recv(timeout=5) == Login("still there")


def test_messages(backend: Any) -> None:
    Login, Chat = login_and_chat()
    messages = fw.Messages(fw.varint, {1: Login, 300: Chat})
    assert messages.encode(Chat("é")) == b"\xac\2\0\2\xc3\xa9"
    assert messages.decode(bytearray(b"\xac\2\0\2\xc3\xa9")) == Chat("é")
    assert repr(messages) == "Messages(varint, {1: Login, 300: Chat})"
    for data, text, offset in (
        (b"", "Messages.tag: 1 bytes needed at offset 0, 0 left", 0),
        (b"\2x", "Messages.tag: the tag 2 at offset 0 is not in the table", 0),
        (b"\1\3ab", "Login.user: 3 bytes needed at offset 2, 2 left", 2),
        (b"\1\1ab", "Login: 1 bytes too many at offset 3", 3),
    ):
        with pytest.raises(fw.RecordError) as caught:
            messages.decode(data)
        assert (str(caught.value), caught.value.offset) == (text, offset)
    for table, error in (
        ({1: Login, 2: Login}, fw.DeclarationError),
        ({256: Login}, fw.DeclarationError),
        ({1: fw.Record}, TypeError),
        ({1: int}, TypeError),
    ):
        with pytest.raises(error):
            fw.Messages(fw.u8, table)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fw.Messages("u8", {})  # type: ignore[arg-type]


def test_nan_payloads_survive(backend: Any) -> None:
    cls = declared("One", {"x": fw.f64})
    for wire in ("7ff8000000000001", "fff0000000000001", "7ff4deadbeef0001"):
        assert cls.unpack(bytes.fromhex(wire)).pack().hex() == wire
        assert math.isnan(cls.unpack(bytes.fromhex(wire)).x)
