"""Records against the examples that specifications print: each with its source and section."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from test_records import declared

import framewire as fw

# (source, type, {value: hexadecimal bytes})
NUMBERS: list[tuple[str, Any, dict[int, str]]] = [
    (
        "MQTT 5.0, 1.5.5, table 1-1",
        fw.leb128(max_bytes=4),
        {
            0: "00",
            127: "7f",
            128: "8001",
            16_383: "ff7f",
            16_384: "808001",
            2_097_151: "ffff7f",
            2_097_152: "80808001",
            268_435_455: "ffffff7f",
        },
    ),
    ("protobuf.dev, encoding, base 128 varints", fw.varint, {1: "01", 150: "9601"}),
    (
        "protobuf.dev, encoding, signed integers: -2 as int64",
        fw.varint,
        {(1 << 64) - 2: "fe" + "ff" * 8 + "01"},
    ),
    (
        "protobuf.dev, encoding, signed integers: sint32",
        fw.zigzag32,
        {0: "00", -1: "01", 1: "02", -2: "03", 0x7FFFFFFF: "feffffff0f", -0x80000000: "ffffffff0f"},
    ),
    (
        "protobuf.dev, encoding, signed integers: sint64",
        fw.zigzag,
        {-500: "e707", -(1 << 63): "ff" * 9 + "01"},
    ),
    (
        "RFC 9000, appendix A.1",
        fw.quicvarint,
        {
            151_288_809_941_952_652: "c2197c5eff14e88c",
            494_878_333: "9d7f3e7d",
            15_293: "7bbd",
            37: "25",
        },
    ),
    (
        "Bitcoin developer reference, CompactSize unsigned integers",
        fw.compactsize,
        {
            0: "00",
            252: "fc",
            253: "fdfd00",
            515: "fd0302",
            0xFFFF: "fdffff",
            0x10000: "fe00000100",
            0xFFFFFFFF: "feffffffff",
            1 << 32: "ff0000000001000000",
        },
    ),
    (
        "DWARF 4, 7.6, figure 22",
        fw.varint,
        {2: "02", 127: "7f", 128: "8001", 129: "8101", 130: "8201", 12_857: "b964"},
    ),
    (
        "DWARF 4, 7.6, figure 23",
        fw.sleb128,
        {
            2: "02",
            -2: "7e",
            127: "ff00",
            -127: "817f",
            128: "8001",
            -128: "807f",
            129: "8101",
            -129: "ff7e",
        },
    ),
    ("WebAssembly 2.0, 5.2.2: u32 at its limits", fw.varint32, {3: "03", (1 << 32) - 1: "ffffffff0f"}),
    ("ITU-T X.690, 8.1.3.4 and 8.1.3.5", fw.derlength, {38: "26", 201: "81c9"}),
    ("ITU-T X.690, 8.19.5: {2 100 3}, first subidentifier", fw.vlq, {180: "8134"}),
    (
        "MIDI 1.0, standard MIDI files, variable-length quantity",
        fw.vlq,
        {
            0x40: "40",
            0x7F: "7f",
            0x80: "8100",
            0x2000: "c000",
            0x3FFF: "ff7f",
            0x4000: "818000",
            0x100000: "c08000",
            0x1FFFFF: "ffff7f",
            0x200000: "81808000",
            0xFFFFFFF: "ffffff7f",
        },
    ),
    (
        "Minecraft protocol, VarInt and VarLong, sample VarInts; negative ones in two's complement",
        fw.varint32,
        {
            0: "00",
            1: "01",
            127: "7f",
            128: "8001",
            255: "ff01",
            25_565: "ddc701",
            2_097_151: "ffff7f",
            0x7FFFFFFF: "ffffffff07",
            -1 % (1 << 32): "ffffffff0f",
            1 << 31: "8080808008",
        },
    ),
    (
        "git, protocol-common, pkt-line: 0006a and 000bfoobar, lengths",
        fw.hexdigits(4),
        {6: "30303036", 11: "30303062"},
    ),
    ("netstrings, D. J. Bernstein, 1997: 12:hello world!", fw.digits(end=b":"), {12: "31323a", 0: "303a"}),
]


@pytest.mark.parametrize(("kind", "vectors"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_numbers(kind: Any, vectors: dict[int, str], backend: Any) -> None:
    cls = declared("One", {"x": kind})
    for value, wire in vectors.items():
        assert cls(value).pack().hex() == wire, value
        assert cls.unpack(bytes.fromhex(wire)).x == value


@pytest.mark.parametrize(
    ("kind", "wire", "value"),
    [
        (fw.quicvarint, "4025", 37),  # RFC 9000, appendix A.1
        (fw.varint32, "8300", 3),  # WebAssembly 2.0, 5.2.2, note
        (fw.sleb128, "fe7f", -2),  # the same
        (fw.sleb128, "feff7f", -2),
        (fw.ber, "8126", 38),  # ITU-T X.690, 8.1.3.5, note 2: BER leaves the choice
    ],
)
def test_longer_forms_that_the_specification_allows(kind: Any, wire: str, value: int, backend: Any) -> None:
    assert declared("One", {"x": kind}).unpack(bytes.fromhex(wire)).x == value


def test_floats(backend: Any) -> None:
    """IEEE 754-2008, 3.4 and table 3.5: one, the largest, the least subnormal, infinity, zero with a sign."""
    vectors: dict[Any, dict[float, str]] = {
        fw.f16: {1.0: "3c00", 65504.0: "7bff", 2.0**-24: "0001", float("inf"): "7c00", -2.0: "c000"},
        fw.f32: {1.0: "3f800000", (2 - 2.0**-23) * 2.0**127: "7f7fffff", 2.0**-149: "00000001"},
        fw.f64: {1.0: "3ff0000000000000", 3.141592653589793: "400921fb54442d18", 5e-324: "0000000000000001"},
    }
    for kind, rows in vectors.items():
        cls = declared("One", {"x": kind})
        for value, wire in rows.items():
            assert cls(value).pack().hex() == wire and cls.unpack(bytes.fromhex(wire)).x == value
        assert cls.unpack(cls(-0.0).pack()).x.hex() == "-0x0.0p+0"


def check(record: Any, wire: bytes) -> None:
    assert record.pack() == wire
    assert type(record).unpack(wire) == record
    assert type(record).missing(wire) == 0
    for size in range(len(wire)):
        assert 0 < type(record).missing(wire[:size]) <= len(wire) - size


def test_mqtt_strings(backend: Any) -> None:
    """MQTT 5.0, 1.5.4, figure 1-2: A and U+2A6D4."""
    cls = declared("Name", {"x": str}, {"x": fw.string(fw.u16)})
    check(cls("A\U0002a6d4"), bytes.fromhex("00 05 41 f0 aa 9b 94"))


def test_protobuf_string(backend: Any) -> None:
    """protobuf.dev, encoding, length-delimited records: message Test2, b = "testing"."""
    cls = declared("Test2", {"tag": bytes, "b": str}, {"tag": fw.const(b"\x12"), "b": fw.string(fw.varint)})
    check(cls("testing"), bytes.fromhex("12 07 74 65 73 74 69 6e 67"))


def test_bitcoin_user_agent(backend: Any) -> None:
    """Bitcoin wiki, protocol documentation, version: the user agent of its dump, and a start height."""
    cls = declared(
        "Version", {"agent": str, "height": fw.u32le}, {"agent": fw.string(fw.compactsize, max=256)}
    )
    check(cls("/Satoshi:0.7.2/", 212_672), bytes.fromhex("0f2f5361746f7368693a302e372e322f c03e0300"))


def test_webassembly_types(backend: Any) -> None:
    """WebAssembly 2.0, 5.5.16 and 5.5.4: magic and version, and the type section of (i32, i32) -> i32."""
    func = declared(
        "Func",
        {"form": bytes, "parameters": list, "results": list},
        {
            "form": fw.const(b"\x60"),
            "parameters": fw.list_of(fw.u8, fw.varint32),
            "results": fw.list_of(fw.u8, fw.varint32),
        },
    )
    module = declared(
        "Module",
        {"magic": bytes, "version": fw.u32le, "id": fw.u8, "size": fw.varint32, "types": list},
        {"magic": fw.const(b"\0asm"), "version": fw.const(1), "types": fw.list_of(func, fw.varint32)},
    )
    check(
        module(1, 7, [func([0x7F, 0x7F], [0x7F])]),
        bytes.fromhex("0061736d 01000000 01 07 01 60 02 7f 7f 01 7f"),
    )


def test_object_identifier(backend: Any) -> None:
    """RFC 8017, appendix C: 1.2.840.113549, by ITU-T X.690, 8.19."""
    cls = declared(
        "Identifier",
        {"tag": bytes, "size": bytes, "parts": list},
        {"tag": fw.const(b"\x06"), "size": fw.const(b"\x06"), "parts": fw.repeat(fw.vlq, 3)},
    )
    check(cls([42, 840, 113_549]), bytes.fromhex("06 06 2a 86 48 86 f7 0d"))


def test_dns_names(backend: Any) -> None:
    """RFC 1035, 4.1.4: F.ISI.ARPA as it stands at octet 20."""
    cls = declared(
        "Name",
        {"labels": list, "root": bytes},
        {"labels": fw.repeat(fw.string(fw.u8, encoding="ascii", max=63), 3), "root": fw.const(b"\0")},
    )
    check(cls(["F", "ISI", "ARPA"]), b"\1F\3ISI\4ARPA\0")


def test_postgresql(backend: Any) -> None:
    """PostgreSQL, message formats: DataRow, whose columns may be NULL, and StartupMessage of cstrings."""
    row = declared(
        "DataRow",
        {"kind": bytes, "size": fw.u32, "columns": list},
        {"kind": fw.const(b"D"), "columns": fw.list_of(fw.binary(fw.i32, null=-1), fw.u16)},
    )
    check(row(19, [b"1", None, b""]), b"D" + struct.pack(">IHi1sii", 19, 3, 1, b"1", -1, 0))
    startup = declared(
        "Startup",
        {"size": fw.u32, "version": fw.u32, "user": fw.cstr, "name": fw.cstr, "end": bytes},
        {"version": fw.const(196_608), "end": fw.const(b"\0")},
    )
    check(startup(20, "user", "bob"), struct.pack(">II", 20, 3 << 16) + b"user\0bob\0\0")


def test_kafka(backend: Any) -> None:
    """Kafka protocol guide, primitive types (NULLABLE_STRING, COMPACT_ARRAY ...), and the record format."""
    names = declared(
        "Names",
        {"old": str, "compact": str, "topics": list},
        {
            "old": fw.string(fw.i16, null=-1),
            "compact": fw.string(fw.varint32, bias=1, null=0),
            "topics": fw.list_of(fw.string(fw.varint32, bias=1), fw.varint32, bias=1, null=0),
        },
    )
    check(names(None, None, None), bytes.fromhex("ffff 00 00"))
    check(names("", "", []), bytes.fromhex("0000 01 01"))
    check(names("ab", "cd", ["e"]), bytes.fromhex("0002 6162 03 6364 02 02 65"))
    header = declared(
        "Header",
        {"key": str, "value": bytes},
        {"key": fw.string(fw.zigzag32), "value": fw.binary(fw.zigzag32)},
    )
    record = declared(
        "Kept",
        {
            "attributes": fw.i8,
            "time": fw.zigzag,
            "offset": fw.zigzag32,
            "key": bytes,
            "value": bytes,
            "headers": list,
        },
        {
            "key": fw.binary(fw.zigzag32, null=-1),
            "value": fw.binary(fw.zigzag32, null=-1),
            "headers": fw.list_of(header, fw.zigzag32),
        },
    )
    check(record(0, 0, 0, None, b"hello", []), bytes.fromhex("00 00 00 01 0a 68656c6c6f 00"))
    check(record(0, 1, 2, b"k", None, [header("a", b"")]), bytes.fromhex("00 02 04 02 6b 01 02 02 61 00"))


def test_amqp(backend: Any) -> None:
    """AMQP 0-9-1, 4.2.2 and 4.2.5.3, and AMQP 1.0, part 1, 1.1.2: its str8-utf8."""
    header = declared(
        "Header", {"x": bytes, "version": list}, {"x": fw.const(b"AMQP"), "version": fw.repeat(fw.u8, 4)}
    )
    check(header([0, 0, 9, 1]), b"AMQP\0\0\x09\1")
    words = declared("Words", {"short": fw.str_u8, "long": bytes}, {"long": fw.binary(fw.u32)})
    check(words("guest", b"\0x"), b"\5guest\0\0\0\2\0x")
    value = declared("Value", {"constructor": bytes, "text": fw.str_u8}, {"constructor": fw.const(b"\xa1")})
    check(value("Hello Glorious Messaging World"), b"\xa1\x1eHello Glorious Messaging World")


def test_xdr(backend: Any) -> None:
    """RFC 4506, 7: the file of its example, byte for byte."""
    cls = declared(
        "File",
        {"filename": str, "kind": fw.u32, "interpretor": str, "owner": str, "data": bytes},
        {
            "filename": fw.string(fw.u32, align=4, max=255),
            "kind": fw.const(2),
            "interpretor": fw.string(fw.u32, align=4, max=255),
            "owner": fw.string(fw.u32, align=4, max=32),
            "data": fw.binary(fw.u32, align=4, max=65535),
        },
    )
    wire = bytes.fromhex(
        "00000009 73696c6c 7970726f 67000000 00000002 00000004 6c697370 00000004 6a6f686e"
        "00000006 28717569 74290000"
    )
    check(cls("sillyprog", "lisp", "john", b"(quit)"), wire)
    with pytest.raises(fw.RecordError, match="^File.filename: the byte 0x01 at offset 15 is no padding$"):
        cls.unpack(wire[:15] + b"\1" + wire[16:])


def test_java(backend: Any) -> None:
    """The Java Virtual Machine Specification, 4.4.7, CONSTANT_Utf8_info: NUL and supplementary characters."""
    cls = declared(
        "Utf8",
        {"tag": bytes, "text": str},
        {"tag": fw.const(b"\1"), "text": fw.string(fw.u16, encoding="mutf-8")},
    )
    check(cls("a\0\u07ff\uffff"), bytes.fromhex("01 0008 61 c080 dfbf efbfbf"))
    check(cls("\U00010000\U0010ffff"), bytes.fromhex("01 000c eda080 edb080 edafbf edbfbf"))


def mpint(number: int) -> bytes:
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1 if number else 0
    return struct.pack(">I", size) + number.to_bytes(size, "big", signed=True)


def from_mpint(buffer: memoryview, offset: int) -> tuple[int, int]:
    start = offset + 4
    end = start + struct.unpack_from(">I", buffer, offset)[0]
    return int.from_bytes(buffer[start:end], "big", signed=True), end


def test_ssh(backend: Any) -> None:
    """RFC 4251, 5: the five mpints, by the hook; string and name-list."""
    cls = declared("Integer", {"x": int}, {"x": fw.codec(mpint, from_mpint, 4)})
    for number, wire in {
        0: "00 00 00 00",
        0x9A378F9B2E332A7: "00 00 00 08 09 a3 78 f9 b2 e3 32 a7",
        0x80: "00 00 00 02 00 80",
        -0x1234: "00 00 00 02 ed cc",
        -0xDEADBEEF: "00 00 00 05 ff 21 52 41 11",
    }.items():
        check(cls(number), bytes.fromhex(wire))
    names = declared("Names", {"x": fw.str_u32, "y": str}, {"y": fw.string(fw.u32, encoding="ascii")})
    check(names("testing", "zlib,none"), b"\0\0\0\7testing\0\0\0\x09zlib,none")


def test_ustar(backend: Any) -> None:
    """POSIX.1-2017, pax, ustar interchange format: name, mode, and further on magic and version."""
    cls = declared(
        "Entry",
        {"name": str, "mode": bytes, "magic": bytes, "version": bytes, "user": str},
        {
            "name": fw.fixed(100, pad=b"\0", encoding="utf-8"),
            "mode": fw.fixed(8, pad=b"\0"),
            "magic": fw.const(b"ustar\0"),
            "version": fw.fixed(2),
            "user": fw.fixed(32, pad=b"\0", encoding="ascii"),
        },
    )
    wire = b"hello.txt".ljust(100, b"\0") + b"0000644\0" + b"ustar\0" + b"00" + b"root".ljust(32, b"\0")
    check(cls("hello.txt", b"0000644", b"00", "root"), wire)


def test_addresses(backend: Any) -> None:
    """RFC 1928, 4, a request for a domain name, and RFC 4291, 2.2, an IPv6 address of eight numbers."""
    request = declared(
        "Request",
        {"head": bytes, "kind": fw.u8, "name": str, "port": fw.u16},
        {"head": fw.const(b"\5\1\0"), "kind": fw.const(3), "name": fw.string(fw.u8, encoding="ascii")},
    )
    check(request("example.org", 443), b"\5\1\0\3\x0bexample.org\1\xbb")
    address = declared("Address", {"x": list}, {"x": fw.repeat(fw.u16, 8)})
    check(
        address([0x2001, 0xDB8, 0, 0, 8, 0x800, 0x200C, 0x417A]),
        bytes.fromhex("20010db8 00000000 00080800 200c417a"),
    )
