"""Records drawn, and taken apart: `explain`, and the verbs decode and explain with a record."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import Console, console
from test_equal_structure import build, instance, records, values
from test_records import Kind, declared, needs_native

import framewire as fw
from framewire.explain import explain
from framewire.layout import explain_record

__all__ = ["console"]  # the fixture

PROTOCOL = """
import framewire as fw

class Point(fw.Record):
    x: fw.u16
    name: fw.str_u8
    raw: fw.rest

class Load(fw.Record):
    value: fw.f32
    many: fw.array_u8[fw.u16]

class Later(fw.Record):
    x: fw.list_u8["Nowhere"]

messages = fw.Messages(fw.u8, {1: Point, 2: Load})
number = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "protocol_of_a_test.py").write_text(PROTOCOL)
    (tmp_path / "broken_of_a_test.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    sys.modules.pop("protocol_of_a_test", None)
    return "protocol_of_a_test"


# --- drawings -------------------------------------------------------------------------------------------


class Header(fw.Record):
    """RFC 1035 section 4.1.1, in part."""

    id: fw.u16
    qr: bool = fw.bits(1, of=fw.u16)
    opcode: Kind | int = fw.bits(4)
    more: int = fw.bits(11)
    name: fw.str_u8
    hole: bytes = fw.pad(2)


class Part(fw.Record):
    length: int = fw.size(fw.u16, plus=2)
    kind: Kind = fw.enumerated(fw.u8)
    data: fw.rest


class Whole(fw.Record, extensible=True):
    header: Header
    magic: bytes = fw.const(b"HI")
    note: fw.str_u8 | None = fw.when("header.more", mask=1)
    body: Part | Header = fw.oneof(fw.u8, {1: Part, 2: Header})
    parts: fw.list_u8[Part] = []
    end: fw.u8 = 7


DRAWING = """\
record     Whole: at least 13 bytes

offset     size       field                    type
0          7..        header                   Header
0          2          header.id                u16
2.0        1 bit      header.qr                bool = bits(1, of=u16)
2.1        4 bits     header.opcode            Kind | int = bits(4)
2.5        11 bits    header.more              int = bits(11)
4          1..256     header.name              str_u8
5+         2          header.hole              bytes = pad(2)
7+         2          magic                    bytes = const(b'HI')
9+         0 or 1..256 note                     str_u8 | None = when('header.more', mask=0x1)
9+         4..        body                     Part | Header = oneof(u8, {1: Part, 2: Header})
                        body                   1: Part, behind the tag
  +0       2              body.length          int = size(u16, plus=2)
  +2       1              body.kind            Kind = enumerated(u8)
  +3       0..            body.data            rest
                        body                   2: Header, behind the tag
  +0       2              body.id              u16
  +2.0     1 bit          body.qr              bool = bits(1, of=u16)
  +2.1     4 bits         body.opcode          Kind | int = bits(4)
  +2.5     11 bits        body.more            int = bits(11)
  +4       1..256         body.name            str_u8
  +5+      2              body.hole            bytes = pad(2)
13+        1..        parts                    list_u8[Part] = []
  +0       2            parts[].length         int = size(u16, plus=2)
  +2       1            parts[].kind           Kind = enumerated(u8)
  +3       0..          parts[].data           rest
14+        1          end                      u8 = 7
15+        0..                                 whatever a later version adds, ignored"""

VALUES = """\
0          12 34                                 header.id = 4660
2          88 01                                 header.qr = True
2                                                header.opcode = PING (1)
2                                                header.more = 1
4          01 78                                 header.name = 'x'
6          00 00                                 header.hole padding
8          48 49                                 magic as it must be
10         02 68 69                              note = 'hi'
13         01                                    body is Part, tag 1
14         00 05                                 body.length = 5: 3 bytes follow
16         02                                    body.kind = PONG (2)
17         61 62                                 body.data = b'ab'
19         01                                    parts has 1 items
20         00 03                                 parts[0].length = 3: 1 bytes follow
22         01                                    parts[0].kind = PING (1)
23                                               parts[0].data = b''
23         07                                    end = 7"""


def test_a_drawing() -> None:
    drawing = explain_record(Whole)
    assert drawing == DRAWING
    assert explain(Whole) == drawing
    for given_as in (7, fw.Record, "Whole"):
        with pytest.raises(TypeError):
            explain_record(given_as)


def test_bytes_beside_it() -> None:
    header = Header(0x1234, True, Kind.PING, 1, "x")
    whole = Whole(header, "hi", Part(Kind.PONG, b"ab"), [Part(Kind.PING, b"")])
    drawing, _, taken = explain_record(Whole, whole.pack()).rpartition("\n\n")
    assert drawing == explain_record(Whole) and taken == VALUES
    more = explain_record(Whole, whole.pack() + b"++").splitlines()[-1]
    assert more == f"{len(whole.pack()):<10} {'2b 2b':<37} of a later version, ignored"
    cut = explain_record(Whole, whole.pack()[:16]).splitlines()[-1]
    assert cut == f"{16:<10} {'':<37} here: body.length: 3 bytes needed, 0 left"
    damaged = whole.pack().replace(b"HI", b"HO")
    text = "here: magic: 48 49 must stand at offset 8, not 48 4f"
    assert explain_record(Whole, damaged).splitlines()[-1].endswith(text)


def test_the_byte_order_is_told() -> None:
    cls = declared("Little", {"x": fw.u32}, byteorder="little")
    assert explain_record(cls, b"\1\0\0\0").splitlines()[0] == "record     Little: 4 bytes, little-endian"
    assert explain_record(cls, b"\1\0\0\0").endswith("x = 1")


def test_records_that_contain_each_other() -> None:
    cls = declared("Node", {"n": fw.u8, "kids": fw.list_u8["Node"]})
    wire = cls(1, [cls(2, []), cls(3, [])]).pack()
    assert explain_record(cls, wire).splitlines()[-1] == f"{5:<10} {'00':<37} kids[1].kids has 0 items"
    many = declared("Many", {"x": fw.list_u16[fw.u8]})
    assert len(explain_record(many, many([1] * 5000).pack()).splitlines()) < 40
    deep = cls(1, [])
    for _ in range(60):
        deep = cls(1, [deep])
    assert len(explain_record(cls, deep.pack()).splitlines()) < 200


@needs_native
@given(st.data())
def test_every_record_can_be_taken_apart(data: Any) -> None:
    made = data.draw(records())
    try:
        cls = build(made)
        assert cls.min_size >= 0
    except fw.DeclarationError:
        return
    try:
        wire = instance(cls, made, data.draw(values(made))).pack()
    except fw.EncodeError:
        return
    drawing = explain_record(cls, wire)
    assert "here:" not in drawing and "behind the record" not in drawing
    cut = explain_record(cls, wire[: data.draw(st.integers(0, len(wire)))])
    assert drawing.isascii() and cut.isascii()


# --- the command ----------------------------------------------------------------------------------------

WIRE = fw.LengthPrefixed(fw.u16).encode_many(
    [b"\0\1\2hi", b"\0\2\0\xff", b"a", b"\0\3\4\x1b[2Jy", b"\xff\xff\0"]
)


def test_decode_to_a_table(console: Console, module: str) -> None:
    status, out, err = console.run("decode", "u16", "--record", f"{module}:Point", source=WIRE)
    assert status == 3
    assert out.decode().splitlines() == [
        "n  offset  x      name     raw",
        "1       0  1      hi       b''",
        "2       7  2               b'\\xff'",
        "4      16  3      \\x1b[2J  b'y'",
        "5      26  65535           b''",
    ]
    assert err.splitlines()[:2] == [
        "framewire: Point.x: 2 bytes needed at offset 0, 1 left",
        "  message 3, 1 bytes at offset 13; other offsets are its own",
    ]


def test_decode_to_json(console: Console, module: str) -> None:
    status, out, _ = console.run("decode", "u16", "-o", "json", "--record", f"{module}:Point", source=WIRE)
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 3 and [line["n"] for line in lines] == [1, 2, 4, 5]
    assert lines[1] == {"n": 2, "offset": 7, "record": "Point"} | {
        "fields": {"x": 2, "name": "", "raw": {"base64": "/w=="}}
    }
    assert lines[2]["fields"] == {"x": 3, "name": "\x1b[2J", "raw": {"text": "y"}}
    assert b"\x1b" not in out


def test_decode_messages(console: Console, module: str) -> None:
    wire = fw.Lines().encode_many([b"\1\0\7\1n", b"\2" + struct.pack(">f", float("nan")) + b"\1\0\7"])
    status, out, _ = console.run("decode", "lines", "--record", f"{module}:messages", source=wire)
    assert status == 0
    assert out.decode().splitlines() == [
        "n  offset  record",
        "1       0  Point(x=7, name='n', raw=b'')",
        "2       6  Load(value=nan, many=array('H', [7]))",
    ]
    out = console.run("decode", "lines", "-ojson", "--record", f"{module}:messages", source=wire)[1]
    assert json.loads(out.splitlines()[1])["fields"] == {"value": "nan", "many": [7]}


def test_n_stops_with_records(console: Console, module: str) -> None:
    status, out, err = console.run("decode", "u16", "-n2", "--record", f"{module}:Point", source=WIRE)
    assert (status, len(out.splitlines()), err) == (0, 3, "")


def test_explain_a_record(console: Console, module: str) -> None:
    status, out, err = console.run("explain", f"{module}:Point", "00 01 02", "6869ff")
    assert (status, err) == (0, "")
    point = sys.modules[module].Point
    assert out.decode() == explain_record(point, b"\0\1\2hi\xff") + "\n"
    # A framing that looks like one is a framing.
    assert b"Delimited(b'ab')" in console.run("explain", "delimited:ab")[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["decode", "u16", "--record", "Point"], "'Point' is no module:Class"),
        (["decode", "u16", "--record", "no_such_module:Point"], "No module named 'no_such_module'"),
        (["decode", "u16", "--record", "broken_of_a_test:X"], "importing it: ZeroDivisionError: division by"),
        (["decode", "u16", "--record", "MODULE:Nope"], "the module has no 'Nope'"),
        (["decode", "u16", "--record", "MODULE:number"], "7 is no record class, and no codec"),
        (["decode", "u16", "--record", "MODULE:Later"], "Later: name 'Nowhere' is not defined"),
        (["decode", "u16", "--record", "MODULE:Point", "-o", "hex"], "--record writes -o text or -o json"),
        (["explain", "MODULE:messages"], "is no record class"),
        (["explain", "no_such:thing"], "unknown name 'no_such'"),
        (["explain", "no_such:thing"], "No module named 'no_such'"),
    ],
)
def test_what_cannot_be_loaded(arguments: list[str], text: str, console: Console, module: str) -> None:
    status, out, err = console.run(*[word.replace("MODULE", module) for word in arguments])
    assert (status, out) == (2, b"") and text in err


def test_annotations_of_lists_are_drawn_whole(backend: Any) -> None:
    given = {"a": fw.list_of(Part, fw.u8), "b": fw.list_of(fw.u8, fw.u8, null=255, default=None)}
    drawn = explain(declared("Lists", {"a": list[Part], "b": list[int] | None}, given))
    assert "list[Part] = list_of(Part, u8)" in drawn and "list[int] | None = list_of(" in drawn


class Grown(fw.Record, extensible=True):
    x: fw.u8
    flags: int = fw.bits(4, of=fw.u8, default=1)
    rest: int = fw.bits(4, default=2)
    inner: fw.u8 | None = fw.when("flags", mask=4, default=None)
    hole: bytes = fw.pad(2)


def test_fields_that_need_not_be_there_are_drawn_as_unpack_reads_them(backend: Any) -> None:
    assert Grown.unpack(b"\7") == Grown(7)
    lines = explain(Grown, b"\7").split("\n\n")[-1].splitlines()
    assert [line.split(None, 1)[1] for line in lines[1:]] == [
        "flags is not there, so 1",
        "rest is not there, so 2",
        "inner is not there",
        "hole is not there",
    ]
    drawn = explain(Grown, b"\7\x12\0\0later")
    assert "flags = 1" in drawn and "6c 61 74 65 72" in drawn
    assert drawn.endswith("of a later version, ignored") and "here:" not in drawn


def test_bits_that_no_member_has_are_told(backend: Any) -> None:
    cls = declared("Bits", {"a": Kind, "b": int}, {"a": fw.bits(4, of=fw.u8), "b": fw.bits(4)})
    assert explain(cls, b"\xf1").endswith("here: a: 15 at offset 0 is no Kind")


def test_what_a_size_says_is_drawn_to_its_end(backend: Any) -> None:
    sized = declared("Sized", {"n": int, "x": fw.u8}, {"n": fw.size(fw.u8)})
    grown = declared("Grown", {"n": int, "x": fw.u8}, {"n": fw.size(fw.u8)}, extensible=True)
    two = declared("Two", {"a": grown, "b": fw.u8})
    drawn = explain(two, b"\3\1\2\3\4").splitlines()
    assert drawn[-2].split() == ["2", "02", "03", "a", "of", "a", "later", "version,", "ignored"]
    assert drawn[-1].split() == ["4", "04", "b", "=", "4"]
    assert "here: a.n: 2 bytes of it left behind the last field" in explain(
        declared("Two", {"a": sized, "b": fw.u8}), b"\3\1\2\3\4"
    )
