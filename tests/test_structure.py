"""Fields that decide about others: what specifications say, what is refused, and what is never believed."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from conftest import peak_memory
from test_hostile_records import NO_MEMORY
from test_records import declared, needs_native, outcome

import framewire as fw


class Opcode(IntEnum):
    QUERY = 0
    STATUS = 2


class Point(fw.Record):
    x: fw.u16


class Label(fw.Record):
    text: fw.str_u8


def fault(call: Any) -> tuple[str, str, int]:
    """What a RecordError says, its reason and its offset."""
    with pytest.raises(fw.RecordError) as caught:
        call()
    return str(caught.value), caught.value.reason, caught.value.offset


def refusal(record: Any) -> str:
    with pytest.raises(fw.EncodeError) as caught:
        record.pack()
    return str(caught.value)


def point_and_label() -> tuple[Any, Any]:
    """Classes for the backend of the moment."""
    return declared("Point", {"x": fw.u16}), declared("Label", {"text": fw.str_u8})


# --- oneof ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "number", "wire"),
    [
        ("u8", 200, "c8"),
        ("i16", -2, "fffe"),
        ("u24le", 300, "2c0100"),
        ("varint", 300, "ac02"),
        ("quicvarint", 300, "412c"),
        ("u64", (1 << 64) - 1, "ff" * 8),
    ],
)
def test_any_number_is_a_tag(tag: str, number: int, wire: str, backend: Any) -> None:
    P, L = point_and_label()
    cls = declared("One", {"body": P | L}, {"body": fw.oneof(getattr(fw, tag), {number: P, 1: L})})
    data = bytes.fromhex(wire) + b"\0\7"
    assert cls(P(7)).pack() == data and cls.unpack(data) == cls(P(7))
    assert [cls.missing(data[:n]) > 0 for n in range(len(data))] == [True] * len(data)
    assert cls.missing(data) == 0 and "tag" not in cls._layout.names
    other = cls(L("ab"))
    assert cls.unpack(other.pack()) == other and type(cls.unpack(other.pack()).body) is L


def test_a_tag_and_a_class_that_are_not_in_the_table(backend: Any) -> None:
    P, L = point_and_label()
    given = {"body": fw.oneof(fw.u8, {1: P, 2: L}), "more": fw.oneof(fw.varint, {1: P, 2: L})}
    cls = declared("Drawing", {"id": fw.u8, "body": P | L, "more": fw.list_u8[P | L]}, given)
    for read in (cls.unpack, cls.missing):
        text = "Drawing.body: the tag 3 at offset 1 is not in the table"
        assert fault(lambda read=read: read(b"\0\3")) == (text, "bad-tag", 1)
        text = "Drawing.more[1]: the tag 300 at offset 8 is not in the table"
        assert fault(lambda read=read: read(b"\0\1\0\7\2\1\0\7\xac\2....")) == (text, "bad-tag", 8)

    class Sub(P):  # type: ignore[misc, valid-type]
        pass

    for value in (Sub(1), Point(1), None, 7):
        name = type(value).__name__
        text = f"Drawing.body: one of Point, Label is needed, not {name}"
        assert refusal(cls(0, value, [])) == text
        assert refusal(cls(0, P(1), [L(""), value])) == text.replace("body", "more[1]")


def test_records_within_one_of_each_other(backend: Any) -> None:
    """A tag may lead back: 64 levels, as with any records."""

    class Leaf(fw.Record):
        n: fw.u8

    class Pair(fw.Record):
        left: Pair | Leaf = fw.oneof(fw.u8, {0: Leaf, 1: "Pair"})
        right: Pair | Leaf = fw.oneof(fw.u8, {0: Leaf, 1: "Pair"})

    assert (Pair.min_size, Pair.fixed_size) == (4, None)
    tree = Pair(Pair(Leaf(1), Leaf(2)), Leaf(3))
    assert tree.pack() == bytes.fromhex("01 0001 0002 0003") and Pair.unpack(tree.pack()) == tree
    for read in (Pair.unpack, Pair.missing):
        _, reason, offset = fault(lambda read=read: read(b"\1" * 1_000_000))
        assert (reason, offset) == ("too-deep", 64)
    loop = Pair(Leaf(0), Leaf(0))
    loop.left = loop
    assert "more than 64 records within each other" in refusal(loop)


# --- when -----------------------------------------------------------------------------------------------


def test_conditions(backend: Any) -> None:
    cases: list[tuple[dict[str, int], list[int], list[int]]] = [
        ({}, [1, 255], [0]),
        ({"mask": 0x82}, [2, 0x80, 255], [0, 1, 0x7D]),
        ({"equals": 3}, [3], [0, 1, 7]),
        ({"equals": 0}, [0], [1]),
        ({"mask": 0x0F, "equals": 3}, [3, 0xF3], [0, 2, 7]),
    ]
    for options, yes, no in cases:
        cls = declared("One", {"n": fw.u8, "x": fw.u8 | None}, {"x": fw.when("n", **options)})
        for n in yes:
            assert cls.unpack(bytes([n, 5])) == cls(n, 5) and cls(n, 5).pack() == bytes([n, 5])
            assert cls.missing(bytes([n])) == 1
            assert refusal(cls(n, None)) == "One.x: n says that it is there, so it cannot be None"
        for n in no:
            assert cls.unpack(bytes([n])) == cls(n, None) and cls(n, None).pack() == bytes([n])
            assert cls.missing(bytes([n])) == 0
            assert refusal(cls(n, 5)) == "One.x: n says that it is not there, so it must be None, not int"


def test_signed_numbers_decide(backend: Any) -> None:
    cls = declared("One", {"n": fw.i64, "x": fw.u8 | None}, {"x": fw.when("n", equals=-1)})
    assert cls(-1, 5).pack() == b"\xff" * 8 + b"\5" and cls.unpack(b"\xff" * 8 + b"\5").x == 5
    assert cls.missing(b"\xff" * 8) == 1 and cls.missing(bytes(8)) == 0


def test_what_may_decide(backend: Any) -> None:
    class Header(fw.Record):
        name: fw.str_u8
        urgent: bool
        more: bool = fw.bits(1, of=fw.u8)
        level: int = fw.bits(7)
        opcode: Opcode = fw.enumerated(fw.varint)

    class Extra(fw.Record):
        flags: fw.u8

    class Message(fw.Record):
        header: Header
        a: fw.u8 | None = fw.when("header.urgent")
        b: fw.str_u8 | None = fw.when("header.more")
        c: bool | None = fw.when("header.level", equals=100)
        d: fw.list_u8[fw.u8] | None = fw.when("header.opcode", equals=Opcode.STATUS)
        extra: Extra | None = fw.when("header.level", mask=1)
        e: fw.u8 | None = fw.when("extra.flags", mask=1)
        f: fw.u8 | None = fw.when("a", equals=7)

    none = Message(Header("x", False, False, 0, Opcode.QUERY), None, None, None, None, None, None, None)
    assert none.pack() == b"\1x\0\0\0" and Message.unpack(none.pack()) == none
    assert [Message.missing(none.pack()[:n]) for n in range(6)] == [4, 4, 3, 2, 1, 0]
    header = Header("x", True, True, 100, Opcode.STATUS)
    most = Message(header, 7, "hi", True, [1], None, None, 9)
    assert most.pack() == b"\1x\1\xe4\2" + b"\7" + b"\2hi" + b"\1" + b"\1\1" + b"\x09"
    assert Message.unpack(most.pack()) == most and Message.missing(most.pack()) == 0
    other = Message(Header("", False, False, 1, Opcode.QUERY), None, None, None, None, Extra(3), 5, None)
    assert other.pack() == b"\0\0\1\0\3\5" and Message.unpack(other.pack()) == other
    assert [Message.missing(other.pack()[:n]) > 0 for n in range(6)] == [True] * 6
    other.extra = None
    assert refusal(other) == "Message.extra: header.level says that it is there, so it cannot be None"


def test_numbers_inside_are_found_in_one_pass(backend: Any) -> None:
    """Each level of records looks for a number behind the records within it."""
    Node = declared(
        "Node",
        {"kids": fw.list_u8["Inner"], "flags": fw.u8},
    )
    Inner = declared("Inner", {"node": Node, "x": fw.u8 | None}, {"x": fw.when("node.flags", mask=1)})
    Node._layout.scope[1]["Inner"] = Inner
    record = Inner(Node([], 1), 5)
    for _ in range(30):
        record = Inner(Node([record], 1), 5)
    data = record.pack()
    assert Inner.unpack(data) == record and Inner.missing(data) == 0
    assert all(Inner.missing(data[:n]) > 0 for n in range(len(data)))


def test_types_of_optional_fields(backend: Any) -> None:
    P, L = point_and_label()
    given = {
        "kind": fw.when("flags", mask=1, type=fw.enumerated(fw.u16)),
        "body": fw.when("flags", mask=2, type=fw.oneof(fw.u8, {1: P, 2: L})),
        "size": fw.when("flags", mask=4, type=fw.leb128(2)),
        "tail": fw.when("flags", mask=8, type=fw.rest),
    }
    annotations = {"flags": fw.u8, "kind": Opcode | None, "body": P | L | None, "size": int | None}
    cls = declared("All", annotations | {"tail": bytes | None}, given)
    assert cls(0, None, None, None, None).pack() == b"\0"
    record = cls(15, Opcode.STATUS, L("a"), 300, b"rest")
    assert record.pack() == b"\x0f\0\2\2\1a\xac\2rest" and cls.unpack(record.pack()) == record


# --- bits -----------------------------------------------------------------------------------------------


def test_none_is_a_value_of_a_type_with_null(backend: Any) -> None:
    """What was read can be written again, and a field that is not there is not one that is null."""
    for type, null in (
        (fw.string(fw.i16, null=-1), b"\xff\xff"),
        (fw.binary(fw.u8, bias=1, null=0), b"\0"),
        (fw.view(fw.i8, null=-1), b"\xff"),
        (fw.list_of(fw.str_u8, fw.varint, bias=1, null=0), b"\0"),
        (fw.array_of(fw.u16, fw.u8, null=255), b"\xff"),
    ):
        cls = declared("One", {"flag": bool, "x": object}, {"x": fw.when("flag", type=type)})
        assert (cls(True, None).pack(), cls(False, None).pack()) == (b"\1" + null, b"\0")
        for wire in (b"\1" + null, b"\0"):
            assert cls.unpack(wire).x is None and cls.unpack(wire).pack() == wire
        with pytest.raises(fw.EncodeError, match="flag says that it is not there"):
            cls(False, b"ab").pack()


def test_dns_flags(backend: Any) -> None:
    """RFC 1035 section 4.1.1, with the two bits of RFC 2535."""

    class Header(fw.Record):
        id: fw.u16
        qr: bool = fw.bits(1, of=fw.u16, default=False)
        opcode: Opcode = fw.bits(4, default=Opcode.QUERY)
        aa: bool = fw.bits(1, default=False)
        tc: bool = fw.bits(1, default=False)
        rd: bool = fw.bits(1, default=True)
        ra: bool = fw.bits(1, default=False)
        z: int = fw.bits(1, default=0)
        ad: bool = fw.bits(1, default=False)
        cd: bool = fw.bits(1, default=False)
        rcode: int = fw.bits(4, default=0)
        questions: fw.u16 = 1

    assert Header(0x1234).pack() == bytes.fromhex("1234 0100 0001") and Header.fixed_size == 6
    answer = Header.unpack(bytes.fromhex("1234 8583 0001"))
    assert answer == Header(0x1234, True, aa=True, rd=True, ra=True, rcode=3)
    assert answer.opcode is Opcode.QUERY and answer.qr is True
    for read in (Header.unpack, Header.missing):
        text = "Header.opcode: 1 at offset 2 is no Opcode"
        assert fault(lambda read=read: read(bytes.fromhex("1234 0900 0001"))) == (text, "bad-value", 2)
        assert fault(lambda: Header.unpack(b"\0\1\2"))[0] == "Header.qr: 2 bytes needed at offset 2, 1 left"
    assert Header.missing(b"\0\1\2") == 3
    assert refusal(Header(1, opcode=1)) == "Header.opcode: 1 is no Opcode"  # type: ignore[arg-type]
    assert refusal(Header(1, aa=1)) == "Header.aa: a bool is needed, not int"  # type: ignore[arg-type]
    assert refusal(Header(1, rcode=16)) == "Header.rcode: 16 is not in 0..15"
    assert refusal(Header(1, rcode=-1)) == "Header.rcode: -1 is not in 0..15"
    assert refusal(Header(1, z="0")) == "Header.z: an int is needed, not str"  # type: ignore[arg-type]


def test_bits_of_all_widths(backend: Any) -> None:
    cls = declared(
        "Wide",
        {"a": int, "b": int, "c": bool, "d": int, "e": Opcode | int},
        {
            "a": fw.bits(3, of=fw.u64le),
            "b": fw.bits(61),
            "c": fw.bits(1, of=fw.u24),
            "d": fw.bits(20),
            "e": fw.bits(3),
        },
    )
    record = cls(5, (1 << 61) - 2, True, 0xABCDE, 6)
    wire = ((5 << 61) | (1 << 61) - 2).to_bytes(8, "little") + (1 << 23 | 0xABCDE << 3 | 6).to_bytes(3, "big")
    assert record.pack() == wire and cls.unpack(wire) == record
    assert cls.unpack(wire[:-1] + bytes([wire[-1] & 0xF8 | 2])).e is Opcode.STATUS


# --- size -----------------------------------------------------------------------------------------------


def test_a_size_bounds_its_record(backend: Any) -> None:
    class Item(fw.Record):
        length: int = fw.size(fw.u16, plus=2)
        kind: fw.u8
        data: fw.rest

    class Items(fw.Record):
        first: Item
        more: fw.list_u8[Item]

    items = Items(Item(1, b"ab"), [Item(2, b""), Item(3, b"c")])
    wire = bytes.fromhex("0005 01 6162 02 0003 02 0004 03 63")
    assert items.pack() == wire and Items.unpack(wire) == items
    assert not hasattr(items.first, "length") and repr(items.first) == "Item(kind=1, data=b'ab')"
    assert [Item.missing(wire[:n]) for n in range(6)] == [3, 2, 3, 2, 1, 0]
    assert Item.missing(b"\xff\xff\1") == 65532, "what the size says, and no byte of it is held"
    cases = [
        ("0002", "Item.kind: 1 bytes needed at offset 2, 0 left of the size of the record", 2),
        ("0001", "Item.length: the size 1 at offset 0 is less than the 2 that it counts beside", 0),
    ]
    for data, text, offset in cases:
        assert fault(lambda data=data: Item.unpack(bytes.fromhex(data))) == (text, "bad-size", offset)
        assert fault(lambda data=data: Item.missing(bytes.fromhex(data)))[1:] == ("bad-size", 0)
    text, reason, _ = fault(lambda: Item.unpack(bytes.fromhex("0005 01 61")))
    assert (text, reason) == ("Item.length: 3 bytes needed at offset 2, 2 left", "truncated")
    exact = declared("Exact", {"length": int, "x": fw.u8}, {"length": fw.size(fw.u8)})
    for read in (exact.unpack, exact.missing):
        text = "Exact.length: 2 bytes of the size of the record are left over at offset 2"
        assert fault(lambda read=read: read(b"\3abc")) == (text, "bad-size", 2)
    outer = declared("Outer", {"length": int, "inner": exact}, {"length": fw.size(fw.u8)})
    text = "Outer.inner.length: 9 bytes needed at offset 2, 1 left of the size of the record"
    assert fault(lambda: outer.unpack(b"\2\x09a......")) == (text, "bad-size", 2)
    text = "Outer.length: what the size at offset 0 bounds needs 8 bytes more at least"
    assert fault(lambda: outer.missing(b"\2\x09a......")) == (text, "bad-size", 0)


@pytest.mark.parametrize("name", ["u8", "u16le", "u24", "varint", "quicvarint", "ber", "i32", "digits(3)"])
@pytest.mark.parametrize("plus", [0, 4, -1])
def test_sizes_of_every_type(name: str, plus: int, backend: Any) -> None:
    number = eval(name, vars(fw))
    single = declared("Single", {"n": number})
    cls = declared("Sized", {"length": int, "data": fw.rest}, {"length": fw.size(number, plus=plus)})
    for count in (1, 10, 63, 64, 127, 128, 250, 300, 16384, 70000):
        if count + plus > number.maximum:
            text = f"Sized.length: {count} bytes are too many: at most "
            assert refusal(cls(bytes(count))) == text + str(number.maximum - plus)
            continue
        wire = single(count + plus).pack() + bytes(count)
        assert cls(bytes(count)).pack() == wire and cls.unpack(wire) == cls(bytes(count))
        assert cls.missing(wire[:-1]) == 1 and cls.missing(wire) == 0
    if plus < 0:
        assert refusal(cls(b"")).startswith("Sized.length: -1 is not in 0..")


def test_a_size_is_not_believed(backend: Any) -> None:
    cls = declared("Sized", {"length": int, "x": fw.list_u32[fw.u8]}, {"length": fw.size(fw.u64)})
    data = b"\xff" * 8 + b"\xff" * 4 + bytes(20)
    assert peak_memory(lambda: outcome(lambda: cls.unpack(data))) < 100_000
    assert fault(lambda: cls.unpack(data))[1] == "truncated" and cls.missing(data) > 1 << 60
    data = b"\0\0\0\0\0\0\0\x18" + b"\xff" * 4 + bytes(20)
    assert peak_memory(lambda: outcome(lambda: cls.unpack(data))) < 100_000
    assert fault(lambda: cls.unpack(data))[1] == fault(lambda: cls.missing(data))[1] == "bad-size"


# --- extensible records ---------------------------------------------------------------------------------


def test_old_and_new_records_read_each_other(backend: Any) -> None:
    class Old(fw.Record, extensible=True):
        a: fw.u8

    class New(fw.Record, extensible=True):
        a: fw.u8
        b: fw.u16 = 7
        c: fw.list_u8[fw.u8] = []
        hole: bytes = fw.pad(2)
        d: int = fw.bits(4, of=fw.u8, default=3)
        e: int = fw.bits(4, default=4)

    new = New(1, 2, [3])
    assert new.pack() == b"\1\0\2\1\3\0\0\x34" and Old.unpack(new.pack()) == Old(1)
    for size in (1, 3, 5, 7):
        assert (
            New.unpack(new.pack()[:size]).pack()
            == {1: New(1)}.get(size, new if size > 3 else New(1, 2)).pack()
        )
    assert New.unpack(b"\1").c is not New.unpack(b"\1").c, "a list of its own"
    assert fault(lambda: New.unpack(b"\1\0"))[0] == "New.b: 2 bytes needed at offset 1, 1 left"
    assert fault(lambda: New.unpack(b""))[0] == "New.a: 1 bytes needed at offset 0, 0 left"
    assert fault(lambda: New.unpack_from(b"\1"))[0] == "New.b: 2 bytes needed at offset 1, 0 left"
    assert Old.unpack_from(b"\1more") == (Old(1), 1)
    assert (New.min_size, New.fixed_size, Old.fixed_size) == (1, None, None)
    last = declared("Last", {"x": fw.u8, "new": New})
    assert last.unpack(b"\0\1") == last(0, New(1)) and last.unpack(b"\0" + new.pack() + b"...").new == new
    first = declared("First", {"new": New, "x": fw.u8})
    assert fault(lambda: first.unpack(b"\1\0"))[0] == "First.new.b: 2 bytes needed at offset 1, 1 left"
    many = declared("Many", {"new": fw.list_u8[New]})
    assert fault(lambda: many.unpack(b"\1\1"))[0] == "Many.new[0].b: 2 bytes needed at offset 2, 0 left"


def test_sized_records_are_extensible_anywhere(backend: Any) -> None:
    class Entry(fw.Record, extensible=True):
        length: int = fw.size(fw.u8)
        a: fw.u8
        b: fw.u16 = 7
        note: fw.str_u8 | None = fw.when("b", equals=1, default=None)

    class Table(fw.Record):
        entries: fw.list_u8[Entry]
        end: fw.u8

    wire = bytes.fromhex("04 01 aa 03 bb0001 06 cc0001 01 78 ff 03 dd0002 ee")
    table = Table([Entry(0xAA), Entry(0xBB, 1), Entry(0xCC, 1, "x"), Entry(0xDD, 2)], 0xEE)
    assert Table.unpack(wire) == table and Table.missing(wire) == 0
    assert all(Table.missing(wire[:n]) > 0 for n in range(len(wire)))


# --- the order of bytes ---------------------------------------------------------------------------------


def test_little_endian_classes(backend: Any) -> None:
    P, L = point_and_label()

    class Big(fw.Record):
        x: fw.u16

    class Little(fw.Record, byteorder="little"):
        a: fw.u8
        b: fw.u32
        c: fw.i24
        d: fw.f32
        e: fw.u16le
        f: fw.list_u16[fw.u16]
        g: fw.array_u8[fw.u32]
        h: Big
        i: fw.u16 = fw.const(1)
        j: fw.u16 | None = fw.when("a", type=fw.u16)
        k: int = fw.bits(8, of=fw.u16)
        l: int = fw.bits(8)  # noqa: E741
        m: Opcode = fw.enumerated(fw.u16)
        n: P | L = fw.oneof(fw.u16, {1: P, 2: L})  # type: ignore[valid-type]
        o: int = fw.size(fw.u32)

    record = Little(1, 2, -2, 1.5, 3, [4], [5], Big(6), 7, 8, 9, Opcode.STATUS, P(10))  # type: ignore[arg-type]
    wire = "01 02000000 feffff 0000c03f 0300 01000400 01 05000000 0006 0100 0700 0908 0200 0100000a 00000000"
    assert record.pack() == bytes.fromhex(wire)
    assert Little.unpack(record.pack()).pack() == record.pack()


# --- declarations ---------------------------------------------------------------------------------------


def broken(annotations: dict[str, Any], **given: Any) -> Any:
    return lambda: declared("Bad", annotations, given).min_size


OPTIONAL = fw.u8 | None
DECIDED = dict.fromkeys("abcdefghi", fw.u8) | dict.fromkeys("jklmnopqr", OPTIONAL)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: fw.oneof(fw.u8, {}), "oneof: the table is empty"),
        (
            broken({"a": Point | Label}, a=fw.oneof(fw.u8, {1: Point})),
            "Bad.a: the annotation must be the classes",
        ),
        (broken({"a": Point}, a=fw.oneof(fw.u8, {1: Point, 2: Label})), "Bad.a: the annotation must be the"),
        (broken({"a": Point}, a=fw.oneof(fw.u8, {1: Point, 2: Point})), "Bad.a: Point has two tags"),
        (broken({"a": Point}, a=fw.oneof(fw.u8, {256: Point})), "Bad.a: the tag 256 is not in 0..255"),
        (broken({"a": Point}, a=fw.oneof(fw.u8, {-1: Point})), "Bad.a: the tag -1 is not in 0..255"),
        (broken({"a": Point}, a=fw.oneof(fw.u8, {"x": Point})), "Bad.a: the tag 'x' is not in 0..255"),
        (broken({"a": int}, a=fw.oneof(fw.u8, {1: int})), "Bad.a: the tag 1 must have a record class"),
        (broken({"a": "Bad"}, a=fw.oneof(fw.u8, {1: "Bad"})), "Bad: it contains itself"),
        (broken({"a": OPTIONAL}, a=fw.when("b")), r"Bad.a: when\('b'\): there is no 'b' further up"),
        (broken({"a": OPTIONAL, "b": fw.u8}, a=fw.when("b")), r"Bad.a: when\('b'\): there is no 'b' further"),
        (broken({"b": fw.str_u8, "a": OPTIONAL}, a=fw.when("b")), r"Bad.a: when\('b'\): 'b' is no number"),
        (broken({"b": fw.f32, "a": OPTIONAL}, a=fw.when("b")), r"Bad.a: when\('b'\): 'b' is no number"),
        (broken({"b": Point, "a": OPTIONAL}, a=fw.when("b.y")), r"Bad.a: when\('b.y'\): there is no 'y'"),
        (broken({"b": fw.u8, "a": OPTIONAL}, a=fw.when("b.y")), r"Bad.a: .* has 'y' must be a record"),
        (
            broken({"b": fw.u8, "a": OPTIONAL}, a=fw.when("b", equals=256)),
            "Bad.a: .*equals=256 is not in 0..255",
        ),
        (
            broken({"b": fw.u8, "a": OPTIONAL}, a=fw.when("b", mask=256)),
            "Bad.a: .*mask=0x100 has bits that b",
        ),
        (lambda: fw.when("b", mask=1, equals=2), "when: equals=2 has bits that are not in mask=0x1"),
        (lambda: fw.when("b", mask=0), "when: mask=0 must be at least 1"),
        (broken({"b": fw.u8, "a": int | None}, a=fw.when("b")), "Bad.a: int does not say how it is packed"),
        (
            broken({"b": fw.u8, "a": int}, a=fw.when("b", type=fw.size(fw.u8))),
            "Bad.a: type=size.* is no type",
        ),
        (
            broken(DECIDED, **{two: fw.when(one) for one, two in zip("abcdefghi", "jklmnopqr")}),
            "Bad: more than 8",
        ),
        (
            broken({"b": fw.u8, "a": fw.rest | None, "c": fw.u8}, a=fw.when("b")),
            "Bad.a: rest must be the last",
        ),
        (broken({"a": int}, a=fw.bits(3)), "Bad.a: of= must say which integer"),
        (broken({"a": int}, a=fw.bits(3, of=fw.u8)), "Bad.a: the bits up to a are 5 too few for the integer"),
        (
            broken({"a": int, "b": fw.u8}, a=fw.bits(3, of=fw.u8)),
            "Bad.a: the bits up to a are 5 too few for the integer",
        ),
        (
            broken({"a": int, "b": int}, a=fw.bits(3, of=fw.u8), b=fw.bits(7)),
            "Bad.b: the bits up to here are 2 too many for the integer",
        ),
        (broken({"a": bool}, a=fw.bits(2, of=fw.u8)), "Bad.a: a bool is one bit, not 2"),
        (broken({"a": str}, a=fw.bits(8, of=fw.u8)), "Bad.a: bits are a bool, an int or an IntEnum"),
        (lambda: fw.bits(0), "bits: count=0 must be at least 1"),
        (lambda: fw.bits(65), "bits: count=65 must be at most 64"),
        (lambda: fw.bits(8, of=fw.i8), "bits: of=i8 must be an unsigned integer"),
        (lambda: fw.bits(8, of=fw.varint), "bits: of=varint must be an unsigned integer"),
        (broken({"a": int, "b": int}, a=fw.size(fw.u8), b=fw.size(fw.u8)), "Bad: a record has one size"),
        (lambda: fw.size(fw.u8, plus=70000), "size: plus=70000 must be at most 65535"),
        (broken({"a": fw.list_u8[fw.bits(8, of=fw.u8)]}), "Bad.a: bits.* can only stand right of ="),
        (
            lambda: declared("Bad", {"a": fw.u8}, byteorder="middle"),
            "Bad: byteorder='middle' must be one of big",
        ),
        (
            lambda: type(fw.Record)("Bad", (Point,), {}, byteorder="little"),
            "Bad: byteorder must be what it is in Point",
        ),
        (
            lambda: (
                declared(
                    "Bad",
                    {"a": fw.u8, "b": OPTIONAL},
                    {"a": "x", "b": fw.when("a", default=1)},
                    extensible=True,
                ).min_size
            ),
            "Bad.b: .* the default of 'a' must be a number",
        ),
    ],
)
def test_what_cannot_be_declared(make: Any, text: str, backend: Any) -> None:
    with pytest.raises(fw.DeclarationError, match=f"^{text}"):
        make()


def test_what_is_no_declaration() -> None:
    for make in (
        lambda: fw.oneof("u8", {1: Point}),
        lambda: fw.when(3),  # type: ignore[arg-type]
        lambda: fw.when("a", mask="x"),  # type: ignore[arg-type]
        lambda: fw.bits("3"),  # type: ignore[arg-type]
        lambda: fw.bits(3, of=int),
        lambda: fw.size(int),
        lambda: declared("Bad", {"a": fw.u8}, extensible=1),
    ):
        with pytest.raises(TypeError):
            make()
    assert repr(fw.when("a.b", mask=3, type=fw.u8)) == "when('a.b', mask=0x3, type=u8)"
    assert repr(fw.oneof(fw.u8, {1: Point, 2: "Later"})) == "oneof(u8, {1: Point, 2: Later})"
    assert (repr(fw.bits(3, of=fw.u8)), repr(fw.size(fw.u8, plus=4))) == (
        "bits(3, of=u8)",
        "size(u8, plus=4)",
    )
    assert repr(fw.u8 | None | Point) == "u8 | None | Point" and repr(None | fw.u8) == "None | u8"


# --- values that fight back -----------------------------------------------------------------------------


def test_a_record_that_changes_while_it_is_packed(backend: Any) -> None:
    Header = declared("Header", {"flags": fw.u8})
    cls = declared("Message", {"header": Header, "x": fw.u8 | None}, {"x": fw.when("header.flags")})

    class Changing:
        asked = 0

        def __index__(self) -> int:
            self.asked += 1
            if self.asked == 1:
                record.header = Point(7)
                gc.collect()
            return 1

    record = cls(Header(Changing()), 5)
    assert refusal(record) == "Message.x: it has no value"


def test_nothing_leaks(backend: Any) -> None:
    P, L = point_and_label()

    class All(fw.Record, extensible=True):
        length: int = fw.size(fw.varint)
        a: bool = fw.bits(1, of=fw.u8)
        b: int = fw.bits(7)
        c: P | L = fw.oneof(fw.u8, {1: P, 2: L})  # type: ignore[valid-type]
        d: fw.list_u8[P | L] = fw.oneof(fw.u8, {1: P, 2: L})  # type: ignore[valid-type]
        e: fw.str_u8 | None = fw.when("b", mask=1, default=None)
        f: fw.list_u8[fw.u8] = []

    good = All(True, 1, P(1), [L("a" * 40)] * 9, "e" * 200, [1] * 20).pack()
    bad = [All(True, 1, P(1), [L("a")] * 3, None), All(True, 0, P(1), [7], None), All(True, 200, P(1), [])]

    def work() -> None:
        for n in range(len(good)):
            cut = bytes([n % 128]) + good[2:][:n]
            outcome(lambda cut=cut: All.unpack(cut)), outcome(lambda cut=cut: All.missing(cut))
        for record in (All.unpack(good), *bad):
            outcome(record.pack)

    work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(10):
        work()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


DECIDING = """
class Point(fw.Record):
    x: fw.u64

class Label(fw.Record):
    text: fw.str_u8

class All(fw.Record, extensible=True):
    length: int = fw.size(fw.varint)
    a: bool = fw.bits(1, of=fw.u64)
    b: int = fw.bits(63)
    c: Point | Label = fw.oneof(fw.u8, {1: Point, 2: Label})
    d: fw.list_u8[Point | Label] = fw.oneof(fw.u8, {1: Point, 2: Label})
    e: fw.str_u16 | None = fw.when("b", mask=1, default=None)
    f: fw.list_u8[fw.u64] = []

record = All(True, (1 << 61) + 1, Point(1 << 60), [Label("h\\u00e9llo")] * 9, "e" * 2000, [1 << 60] * 9)
data = record.pack()

"""
CALLS = """
for call in (lambda: All.unpack(data), lambda: All.unpack(data[:-1]), record.pack):
    attempts(call)
    gc.collect()
    before = sys.getallocatedblocks()
    assert attempts(call) > 0
    gc.collect()
    assert sys.getallocatedblocks() - before < 60
assert All.unpack(data) == record and record.pack() == data
"""


@needs_native
@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="no _testcapi to take memory away")
def test_no_memory_at_any_point() -> None:
    head, attempts = NO_MEMORY.index("class Item"), NO_MEMORY.index("def attempts")
    code = NO_MEMORY[:head] + DECIDING + NO_MEMORY[attempts : NO_MEMORY.index("calls =")] + CALLS
    source = Path(fw.__file__).parent.parent
    kept = {**os.environ, "FRAMEWIRE_BACKEND": "native", "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", code], env=kept, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_they_have_a_text(backend: Any) -> None:
    P, L = point_and_label()
    given = {
        "length": fw.size(fw.u16, plus=2),
        "urgent": fw.bits(1, of=fw.u8),
        "level": fw.bits(7),
        "note": fw.when("level", mask=3),
        "body": fw.oneof(fw.u8, {1: P, 2: L}),
    }
    names = {"length": int, "urgent": bool, "level": int, "note": fw.str_u8 | None, "body": P | L}
    cls = declared("Message", names, given)
    text = (
        "size(u16, plus=2) length, bool urgent = bits(1, of=u8), int level = bits(7), "
        "str_u8 | None note = when('level', mask=0x3), Point | Label body = oneof(u8, {1: Point, 2: Label})"
    )
    assert cls.__layout__ == text
    again = fw.record("Message", text, {"Point": P, "Label": L})
    wire = cls(True, 1, "hi", L("x")).pack()
    assert again.unpack(wire).pack() == wire and again.__layout__ == text  # type: ignore[attr-defined]
    with pytest.raises(fw.DeclarationError, match="can only stand right of ="):
        fw.Packer("bits(8, of=u8)")


def test_two_records_of_one_class_decide_each_for_itself(backend: Any) -> None:
    Header = declared("Header", {"id": fw.u8, "flags": fw.u8})
    given = {"x": fw.when("a.flags"), "y": fw.when("b.flags")}
    cls = declared("Two", {"a": Header, "b": Header, "x": OPTIONAL, "y": OPTIONAL}, given)
    assert [cls.missing(data) for data in (b"\0\1\0\0", b"\0\0\0\1", b"\0\0\0\0", b"\0\1\0\1")] == [
        1,
        1,
        0,
        1,
    ]
    assert cls.missing(b"\0\1\0\1x") == 1 and cls.unpack(b"\0\1\0\0x") == cls(
        Header(0, 1), Header(0, 0), 120, None
    )
