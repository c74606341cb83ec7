"""Framings as declarations: the fifteen of the design, values in every sense, and which cannot be."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest
from catalogue import CATALOGUE, join_pairs, pairs
from conftest import named

import framewire as fw
from framewire import (
    Custom,
    DeclarationError,
    Delimited,
    FixedLength,
    LengthPrefixed,
    Lines,
    Netstring,
    Preamble,
    Tagged,
    UntilEOF,
    ber,
    digits,
    hexdigits,
    i32,
    i64,
    leb128,
    quicvarint,
    tiered,
    u8,
    u16,
    u24,
    u24le,
    u32,
    u64,
    varint,
)

NAMES = {name: getattr(fw, name) for name in fw.__all__} | {"pairs": pairs, "join_pairs": join_pairs}

P = LengthPrefixed(u32, offset=1, counts="field")
DNS = bytes.fromhex("001d123401000001000000000000076578616d706c6503636f6d0000010001")
# name: (declaration, frame as delivered, its bytes on the wire)
DESIGN: dict[str, tuple[fw.Framing, bytes, bytes]] = {
    # RFC 1035 section 4.2.2: the query for example.com A
    "dns": (LengthPrefixed(u16), DNS[2:], DNS),
    # MySQL client/server protocol, a COM_QUIT packet (fragments come with a later framing)
    "mysql": (LengthPrefixed(u24le, header=4), b"\x01\0\0\0\x01", b"\x01\0\0\0\x01"),
    # AMQP 0-9-1 section 4.2.3: a heartbeat frame
    "amqp": (
        LengthPrefixed(u32, offset=3, trailer=b"\xce"),
        b"\x08\0\0\0\0\0\0\xce",
        b"\x08\0\0\0\0\0\0\xce",
    ),
    # RFC 9113 section 6.5: an empty SETTINGS frame, and its acknowledgement
    "http2": (LengthPrefixed(u24, header=9, max_frame=16384), b"\0\0\0\4\1\0\0\0\0", b"\0\0\0\4\1\0\0\0\0"),
    # PostgreSQL documentation 55.7: ReadyForQuery, idle
    "postgresql": (P, b"Z\0\0\0\5I", b"Z\0\0\0\5I"),
    # the same, SSLRequest
    "postgresql-client": (
        Tagged({0: LengthPrefixed(u32, counts="field", header=8)}, default=P),
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
    ),
    # RFC 6455 section 5.7: a masked "Hello"
    "websocket": (
        LengthPrefixed(
            tiered(u8, {126: u16, 127: i64}, mask=0x7F, follow=(0x80, 4), canonical=True), offset=1
        ),
        bytes.fromhex("818537fa213d7f9f4d5158"),
        bytes.fromhex("818537fa213d7f9f4d5158"),
    ),
    # FastCGI specification 3.3: STDIN "ab" padded to eight bytes
    "fastcgi": (
        LengthPrefixed(u16, offset=4, header=8, magic=b"\x01", extra=((6, u8),)),
        b"\1\5\0\1\0\2\6\0ab" + bytes(6),
        b"\1\5\0\1\0\2\6\0ab" + bytes(6),
    ),
    # X11 protocol: GetInputFocus, opcode 43, one unit of four bytes
    "x11": (
        LengthPrefixed(u16, offset=2, counts="frame", scale=4, escape=(0, u32)),
        b"\x2b\0\0\1",
        b"\x2b\0\0\1",
    ),
    # multiprocessing.connection: send_bytes(b"hello")
    "multiprocessing": (LengthPrefixed(i32, escape=(-1, u64)), b"hello", b"\0\0\0\5hello"),
    # RFC 4120 section 7.2.2, high bit reserved
    "kerberos": (LengthPrefixed(u32, mask=0x7FFFFFFF, strip=True), b"\x6a\0", b"\0\0\0\2\x6a\0"),
    # gitprotocol-common: "0006a\n" is the example (control packets come with a later framing)
    "git": (LengthPrefixed(hexdigits(4), counts="frame"), b"a\n", b"0006a\n"),
    # Cassandra native protocol v5 section 2: self-contained bit 17 set; the CRCs are not framewire's
    "cassandra": (
        LengthPrefixed(u24le, mask=0x01FFFF, header=6, trailer=4),
        b"\3\0\2CRCabcCRC4",
        b"\3\0\2CRCabcCRC4",
    ),
    # RFC 4511 section 4.2: an anonymous simple bind
    "ldap": (
        LengthPrefixed(ber, offset=1, magic=b"\x30", strip=False),
        bytes.fromhex("300c020101600702010304008000"),
        bytes.fromhex("300c020101600702010304008000"),
    ),
    # MQTT 3.1.1 section 3.12: PINGREQ; 3.3: a PUBLISH to a/b
    "mqtt": (LengthPrefixed(leb128(max_bytes=4), offset=1), b"\x30\x07\0\3a/bhi", b"\x30\x07\0\3a/bhi"),
    # Tarantool iproto: a length as a MessagePack unsigned, here of 200 bytes
    "tarantool": (
        LengthPrefixed(tiered(u8, {0xCC: u8, 0xCD: u16, 0xCE: u32, 0xCF: u64}, direct=0x7F)),
        bytes(200),
        b"\xcc\xc8" + bytes(200),
    ),
}


@pytest.mark.parametrize("name", DESIGN)
def test_the_declarations_of_the_design(name: str, backend: Any) -> None:
    framing, frame, wire = DESIGN[name]
    assert framing.encode(frame) == wire
    assert framing.decoder().decode(wire * 3) == [frame] * 3
    decoder = framing.decoder()
    assert [out for i in range(len(wire)) for out in decoder.decode(wire[i : i + 1])] == [frame]
    assert eval(repr(framing), NAMES) == framing


def test_openings(backend: Any) -> None:
    amqp = Preamble(FixedLength(8), DESIGN["amqp"][0])
    assert amqp.decoder().decode(b"AMQP\0\0\x09\x01" + DESIGN["amqp"][2]) == [
        b"AMQP\0\0\x09\x01",
        DESIGN["amqp"][1],
    ]
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    http2 = Preamble(FixedLength(24), DESIGN["http2"][0])
    assert http2.decoder().decode(preface + DESIGN["http2"][2]) == [preface, DESIGN["http2"][1]]
    assert DESIGN["postgresql-client"][0].decoder().decode(b"Q\0\0\0\x0dselect 1\0") == [
        b"Q\0\0\0\x0dselect 1\0"
    ]


# --- values ---------------------------------------------------------------------------------------------

EVERY = {
    **{name: framing for name, (framing, _) in CATALOGUE.items()},
    **{k: v[0] for k, v in DESIGN.items()},
}


@pytest.mark.parametrize("name", EVERY)
def test_a_framing_is_a_value(name: str) -> None:
    framing = EVERY[name]
    copies = [
        pickle.loads(pickle.dumps(framing)),
        copy.copy(framing),
        copy.deepcopy(framing),
        framing.replace(),
    ]
    if "custom" not in name:
        copies.append(eval(repr(framing), NAMES))
    for other in copies:
        assert other == framing and hash(other) == hash(framing) and repr(other) == repr(framing)
    assert len({framing, *copies}) == 1
    assert framing != repr(framing) and framing is not None
    for change in (
        lambda: setattr(framing, "max_frame", 5),
        lambda: setattr(framing, "nonsense", 5),
        lambda: delattr(framing, "max_frame"),
        lambda: framing.nonsense,
        lambda: framing.__nonsense__,
    ):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(TypeError, match=f"{type(framing).__name__} has no parameter 'nonsense'"):
        framing.replace(nonsense=1)


def test_equality_is_about_meaning() -> None:
    assert LengthPrefixed(u8) == LengthPrefixed(u8, max_frame=255) != LengthPrefixed(u8, max_frame=254)
    assert LengthPrefixed(varint) == LengthPrefixed(leb128())
    assert LengthPrefixed(u8, magic=b"", offset=1) == LengthPrefixed(u8, offset=1)
    assert LengthPrefixed(u8, offset=1, magic=b"x") == LengthPrefixed(u8, offset=1, magic=((0, (b"x",)),))
    assert Lines() != Delimited(b"\n", b"\r\n"), "text and repr would differ"
    assert Tagged({1: Lines(), 2: FixedLength(2)}) == Tagged({2: FixedLength(2), 1: Lines()})
    assert Tagged({b"\1\2": Lines()}) == Tagged({1: Lines(), 2: Lines()})
    assert (
        LengthPrefixed(u16) != LengthPrefixed(u16, max_frame=None) != LengthPrefixed(fw.u16le, max_frame=None)
    )


def test_attributes_and_replace() -> None:
    framing = LengthPrefixed(u16, offset=4, header=8, magic=b"\1", extra=((6, u8),))
    assert (framing.length_type, framing.offset, framing.header, framing.counts) == (u16, 4, 8, "body")
    assert (framing.magic, framing.extra, framing.strip, framing.max_frame) == (
        b"\1",
        ((6, u8),),
        None,
        65535,
    )
    assert framing.replace(header=9).header == 9 and framing.header == 8
    assert Delimited(b";").replace(delimiters=(b"|", b"\n")) == Delimited(b"|", b"\n")
    assert Delimited(b";", b"|").replace(strip=False) == Delimited(b";", b"|", strip=False)
    assert FixedLength(4).replace(size=8) == FixedLength(8)
    assert Tagged({1: Lines()}).replace(default=Netstring()) == Tagged({1: Lines()}, default=Netstring())
    assert Preamble(Lines(), Netstring()).replace(count=3).count == 3
    with pytest.raises(DeclarationError):
        framing.replace(header=5)


# --- limits and policies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framing", "limit"),
    [
        (LengthPrefixed(u8), 255),
        (LengthPrefixed(u16), 65535),
        (LengthPrefixed(u24), 1 << 20),
        (LengthPrefixed(u8, scale=4, adjust=3), 1023),
        (LengthPrefixed(u8, counts="frame", header=5), 250),
        (LengthPrefixed(u8, counts="field", header=5), 250),
        (LengthPrefixed(u8, counts="rest", header=5), 251),
        (LengthPrefixed(digits(3)), 999),
        (LengthPrefixed(u8, escape=(255, u16)), 65535),
        (LengthPrefixed(u8, counts="frame", escape=(0, u8)), 254),
        (LengthPrefixed(tiered(u8, {250: u8}), counts="frame"), 253),
        (LengthPrefixed(u8, max_frame=None), None),
        (Lines(), 1 << 20),
        (Lines(max_frame=None), None),
        (FixedLength(2 << 20), 2 << 20),
        (FixedLength(4, max_frame=4), 4),
        (FixedLength(4, max_frame=None), 4),
        (Tagged({1: FixedLength(5)}, default=Lines(max_frame=9)), 9),
        (Tagged({1: FixedLength(5), 2: LengthPrefixed(u8)}, max_frame=1000), 255),
        (Preamble(FixedLength(5), Lines(), max_frame=7), 7),
    ],
    ids=named,
)
def test_limits(framing: fw.Framing, limit: int | None) -> None:
    assert framing.max_frame == limit


def test_policies_hold_for_all_parts() -> None:
    given = {"max_frame": 100, "on_too_large": "skip", "eof": "drop"}
    assert Tagged({1: Lines(), 2: Netstring()}, default=LengthPrefixed(u8), **given) == Tagged(
        {1: Lines(strip=False, **given), 2: Netstring(strip=False, **given)},
        default=LengthPrefixed(u8, strip=False, **given),
    )
    inner = Tagged({1: Lines()}, default=Preamble(Lines(), Lines()) if False else Netstring())
    assert Preamble(inner, Preamble(Lines(), Netstring()), **given) == Preamble(
        Tagged({1: Lines(**given)}, default=Netstring(**given)), Preamble(Lines(**given), Netstring(**given))
    )
    own = Tagged({1: Lines(max_frame=5, eof="deliver")}, default=Netstring(max_frame=9))
    assert dict(own.table)[1] == Lines(max_frame=5, eof="deliver", strip=False)
    assert Tagged({1: LengthPrefixed(u8)}, max_frame=1000).table[0][1].max_frame == 255
    assert Tagged({1: LengthPrefixed(u8)}, max_frame=None).max_frame is None


@pytest.mark.parametrize(
    ("framing", "strips"),
    [
        (LengthPrefixed(u8), True),
        (LengthPrefixed(u8, strip=False), False),
        (LengthPrefixed(u8, offset=1), False),
        (LengthPrefixed(u8, offset=1, strip=True), True),
        (LengthPrefixed(u8, header=2), False),
        (LengthPrefixed(u8, offset=1, magic=b"x"), True),
        (LengthPrefixed(u8, offset=1, header=3, magic=((0, b"x"), (2, b"y"))), True),
        (LengthPrefixed(u8, offset=1, header=3, magic=b"x"), False),
        (LengthPrefixed(u8, offset=1, magic=((0, (b"x", b"y")),)), False),
        (LengthPrefixed(u8, mask=0x7F), False),
        (LengthPrefixed(u8, mask=0xFF), True),
        (LengthPrefixed(u8, trailer=b"!"), True),
        (LengthPrefixed(u8, trailer=1), False),
        (LengthPrefixed(u8, extra=((0, u8, 0xF0),), mask=0x0F), False),
        (LengthPrefixed(u8, escape=(255, u16)), True),
        (LengthPrefixed(i32), True),
        (LengthPrefixed(varint), True),
        (LengthPrefixed(digits(end=b" ")), True),
        (LengthPrefixed(u8, offset=quicvarint), False),
        (LengthPrefixed(tiered(u8, {255: u16})), True),
        (LengthPrefixed(tiered(u8, {127: u16}, mask=0x7F)), False),
        (LengthPrefixed(tiered(u16, {127: u16}, mask=0x7F, follow=(0x80, 1))), False),
        (Netstring(), True),
        (Netstring(strip=False), False),
        (Lines(), True),
        (Lines(strip=False), False),
    ],
    ids=named,
)
def test_what_strip_none_means(framing: fw.Framing, strips: bool) -> None:
    assert framing._plan[5] is strips
    if not isinstance(framing, (Lines, Netstring)):
        assert framing.replace(strip=False)._plan[5] is False
    inside = dict(Tagged({1: framing}).table)[1]
    assert inside._plan[5] is (strips and framing.strip is True), "inside Tagged the tag belongs to the frame"


# --- what cannot be -------------------------------------------------------------------------------------


def lp(*arguments: Any, **options: Any) -> Any:
    return lambda: LengthPrefixed(*(arguments or (u8,)), **options)


def skips(view: memoryview, scanned: int, eof: bool) -> None:
    return None


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: FixedLength(0), "FixedLength: size=0 must be at least 1"),
        (lambda: FixedLength(4, max_frame=3), "FixedLength: max_frame=3 must be at least 4"),
        (lambda: FixedLength(4, max_frame=5), "FixedLength: max_frame=5 can never be reached"),
        (lambda: FixedLength(4, eof="deliver"), "FixedLength: eof='deliver' needs a mark"),
        (lp(max_frame=0), "LengthPrefixed: max_frame=0 must be at least 1"),
        (
            lp(max_frame=256),
            "LengthPrefixed: max_frame=256 can never be reached: a frame carries at most 255",
        ),
        (lp(on_too_large="drop"), "LengthPrefixed: on_too_large='drop' must be one of fail, skip"),
        (lp(eof="ignore"), "LengthPrefixed: eof='ignore' must be one of error, deliver, drop"),
        (lp(eof="deliver"), "LengthPrefixed: eof='deliver' needs a mark"),
        (lp(offset=-1), "offset=-1 must be at least 0"),
        (lp(offset=513), "offset=513 must be at most 512"),
        (lp(offset=u16), "offset=u16 has a fixed width: write offset=2"),
        (lp(counts="all"), "counts='all' must be one of body, rest, field, frame"),
        (lp(adjust=1 << 40), "adjust=.* must be at most"),
        (lp(scale=0), "scale=0 must be at least 1"),
        (lp(mask=0), "mask=0 must be at least 1"),
        (lp(mask=256), "mask=256 must be at most 255"),
        (lp(mask=5), "mask=0x5 must be one run of bits"),
        (lp(varint, mask=1), "mask needs an integer of fixed width, not varint"),
        (lp(i32, mask=1), "mask needs an unsigned integer, i32 is signed"),
        (lp(header=0), "header=0 must be at least 1"),
        (lp(u32, offset=2, header=5), "header=5 must be at least 6"),
        (lp(header=513), "header=513 must be at most 512"),
        (lp(adjust=-300), "no value of u8 ends the frame behind its header"),
        (lp(counts="frame", offset=300), "no value of u8 ends the frame behind its header"),
        (lp(magic=b"x"), "magic at 0 of 1 bytes must lie in the fixed part of the header"),
        (lp(offset=1, magic=b"xy"), "magic at 0 of 2 bytes must lie"),
        (lp(offset=1, magic=((5, b"x"),)), "magic at 5 of 1 bytes must lie"),
        (lp(varint, offset=1, header=4, magic=((2, b"x"),)), "magic at 2 of 1 bytes must lie"),
        (lp(offset=2, magic=((0, b"ab"), (1, b"c"))), "magic at 1 of 1 bytes must lie"),
        (lp(offset=2, magic=((0, (b"ab", b"c")),)), "magic at 0: alternatives must have one length"),
        (lp(offset=2, magic=((0, ()),)), "magic at 0: alternatives"),
        (lp(offset=2, magic=((0, b""),)), "magic at 0: alternatives"),
        (lp(trailer=0), "trailer=0 must be at least 1"),
        (lp(trailer=4097), "trailer=4097 must be at most 4096"),
        (lp(trailer=bytes(4097)), "trailer of 4097 bytes"),
        (lp(escape=(256, u16)), "escape value=256 must be at most 255"),
        (lp(i32, escape=(-(1 << 40), u64)), "escape value=.* must be at least"),
        (lp(escape=(0, varint)), "escape needs integers of fixed width on both sides"),
        (lp(varint, escape=(0, u8)), "escape needs integers of fixed width on both sides"),
        (lp(extra=((0, u8),)), "extra at 0 shares bits with the length"),
        (lp(u16, mask=0x0FF0, extra=((1, u8, 0xF0),)), "extra at 1 shares bits with the length"),
        (lp(extra=((1, u8),)), "extra at 1 must lie in the fixed part of the header, 1 bytes"),
        (lp(varint, header=3, extra=((2, u8),)), "extra at 2 must lie in the fixed part"),
        (lp(header=2, extra=((1, i32),)), "extra type i32 must be an unsigned integer"),
        (lp(header=2, extra=((1, varint),)), "extra type varint must be an unsigned integer"),
        (lp(header=2, extra=((1, u8, 0),)), "mask=0 must be at least 1"),
        (lp(header=9, extra=tuple((i, u8) for i in range(1, 6))), "extra has 5 entries"),
        (lp(trailer=4, strip=True), "strip=True cannot be with extra, control or a trailer of any value"),
        (lp(header=2, extra=((1, u8),), strip=True), "strip=True cannot be with extra"),
        (lambda: Netstring(max_frame=0), "Netstring: max_frame=0 must be at least 1"),
        (lambda: Netstring(eof="deliver"), "Netstring: eof='deliver' needs a mark"),
        (lambda: Delimited(), "Delimited: 0 delimiters, give 1 to 16"),
        (lambda: Delimited(*[bytes([i]) for i in range(17)]), "Delimited: 17 delimiters"),
        (lambda: Delimited(b""), "Delimited: a delimiter has 1 to 255 bytes, not 0"),
        (lambda: Delimited(bytes(256)), "Delimited: a delimiter has 1 to 255 bytes, not 256"),
        (lambda: Delimited(b";", b";"), "Delimited: the same delimiter twice"),
        (lambda: Delimited(b"a", b"xay"), "b'xay' could never end a frame: b'a' ends one inside it"),
        (lambda: Lines(max_frame=-1), "Lines: max_frame=-1 must be at least 1"),
        (lambda: UntilEOF(eof="drop"), "UntilEOF: eof='drop' has no meaning"),
        (lambda: Tagged({}), "Tagged: the table is empty"),
        (lambda: Tagged({256: Lines()}), "Tagged: tag=256 must be at most 255"),
        (lambda: Tagged({b"AB": Lines(), 65: Lines()}), "Tagged: tag 0x41 twice"),
        (lambda: Tagged({0x81: Lines()}, mask=0x80), "Tagged: tag 0x81 has bits outside mask=0x80"),
        (lambda: Tagged({1: Lines()}, offset=-1), "Tagged: offset=-1 must be at least 0"),
        (lambda: Tagged({1: Lines()}, mask=0), "Tagged: mask=0 must be at least 1"),
        (lambda: Tagged({1: FixedLength(2)}, max_frame=0), "Tagged: max_frame=0 must be at least 1"),
        (lambda: Tagged({1: FixedLength(2)}, on_too_large="x"), "Tagged: on_too_large='x' must be one of"),
        (lambda: Tagged({1: Custom(skips)}), "Tagged: Custom cannot be a part"),
        (
            lambda: Tagged({1: Lines()}, default=Preamble(Lines(), Lines())),
            "Tagged: Preamble cannot be a part",
        ),
        (lambda: Preamble(Lines(), Lines(), count=0), "Preamble: count=0 must be at least 1"),
        (lambda: Preamble(UntilEOF(), Lines()), "Preamble: UntilEOF cannot come first"),
        (lambda: Preamble(Preamble(Lines(), Lines()), Lines()), "Preamble: Preamble cannot come first"),
        (lambda: Preamble(Lines(), Netstring(), eof="deliver"), "eof='deliver' needs a mark"),
        (lambda: Custom(skips, eof="deliver"), "Custom: eof='deliver' needs a mark"),
        (lambda: Custom(skips, on_too_large="skip"), "Custom: on_too_large='skip' cannot be"),
        (
            lambda: LengthPrefixed(u32).decoder(bytearray(4)),
            "buffer: 4 bytes do not hold a whole frame, 4 bytes",
        ),
        (lambda: FixedLength(9).decoder(bytearray(8)), "buffer: 8 bytes do not hold a whole frame"),
    ],
)
def test_declarations_that_cannot_be(make: Any, text: str) -> None:
    with pytest.raises(DeclarationError, match=text) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: FixedLength("16"), "FixedLength: size must be an int, not str"),
        (lambda: FixedLength(True), "FixedLength: size must be an int, not bool"),
        (lp("u32"), "LengthPrefixed: length_type must be a length type such as u32 or varint, not 'u32'"),
        (lp(4), "LengthPrefixed: length_type must be a length type"),
        (lp(int), "LengthPrefixed: length_type must be a length type"),
        (lp(max_frame="big"), "LengthPrefixed: max_frame must be an int, not str"),
        (lp(max_frame=1e6), "LengthPrefixed: max_frame must be an int, not float"),
        (lp(on_too_large=None), "LengthPrefixed: on_too_large must be a str, not NoneType"),
        (lp(eof=1), "LengthPrefixed: eof must be a str, not int"),
        (lp(offset="1"), "LengthPrefixed: offset must be a length type"),
        (lp(offset=True), "LengthPrefixed: offset must be an int, not bool"),
        (lp(counts=1), "LengthPrefixed: counts must be a str, not int"),
        (lp(adjust="1"), "LengthPrefixed: adjust must be an int"),
        (lp(scale=2.0), "LengthPrefixed: scale must be an int"),
        (lp(mask=b"\xff"), "LengthPrefixed: mask must be an int"),
        (lp(header="8"), "LengthPrefixed: header must be an int"),
        (lp(strip=1), "LengthPrefixed: strip must be True or False, not 1"),
        (lp(offset=1, magic="x"), "LengthPrefixed: magic must be bytes or"),
        (lp(offset=1, magic=[(0, b"x")]), "LengthPrefixed: magic must be bytes or"),
        (lp(offset=1, magic=(b"x",)), "LengthPrefixed: magic entry must be"),
        (lp(offset=1, magic=((0, "x"),)), "LengthPrefixed: magic must be bytes, not str"),
        (lp(offset=1, magic=(("0", b"x"),)), "LengthPrefixed: magic offset must be an int"),
        (lp(trailer="x"), "LengthPrefixed: trailer must be bytes, not str"),
        (lp(trailer=bytearray(b"x")), "LengthPrefixed: trailer must be bytes, not bytearray"),
        (lp(trailer=True), "LengthPrefixed: trailer must be an int, not bool"),
        (lp(escape=5), "LengthPrefixed: escape must be"),
        (lp(escape=[0, u8]), "LengthPrefixed: escape must be"),
        (lp(escape=(0, 1)), "LengthPrefixed: escape type must be a length type"),
        (lp(escape=("0", u8)), "LengthPrefixed: escape value must be an int"),
        (lp(extra=[(1, u8)]), "LengthPrefixed: extra must be a tuple"),
        (lp(header=2, extra=(1, u8)), "LengthPrefixed: extra entry must be"),
        (lp(header=2, extra=((1,),)), "LengthPrefixed: extra entry must be"),
        (lp(header=2, extra=((1, 8),)), "LengthPrefixed: extra type must be a length type"),
        (lambda: Netstring(max_frame="9"), "Netstring: max_frame must be an int"),
        (lambda: Netstring(strip="no"), "Netstring: strip must be True or False"),
        (lambda: Delimited("\n"), "Delimited: delimiter must be bytes, not str"),
        (lambda: Delimited(10), "Delimited: delimiter must be bytes, not int"),
        (lambda: Lines(strip=0), "Lines: strip must be True or False"),
        (lambda: UntilEOF(max_frame="9"), "UntilEOF: max_frame must be an int"),
        (lambda: Tagged(5), "Tagged: table must map tags to framings, not 5"),
        (lambda: Tagged([(1, 2, 3)]), "Tagged: table must map tags to framings"),
        (lambda: Tagged({"A": Lines()}), "Tagged: tag must be an int, not str"),
        (lambda: Tagged({1: u8}), "Tagged: u8 is not a framing"),
        (lambda: Tagged({1: Lines()}, default="lines"), "Tagged: 'lines' is not a framing"),
        (lambda: Tagged({1: FixedLength(2)}, max_frame="9"), "Tagged: max_frame must be an int"),
        (lambda: Preamble(Lines(), None), "Preamble: None is not a framing"),
        (lambda: Preamble(FixedLength(2), FixedLength(2), eof=5), "Preamble: eof must be a str"),
        (lambda: Preamble(Lines(), Lines(), count="2"), "Preamble: count must be an int"),
        (lambda: Custom("split"), "Custom: split and join must be functions"),
        (lambda: Custom(skips, b"join"), "Custom: split and join must be functions"),
        (lambda: LengthPrefixed(u32).decoder(bytes(100)), "buffer must be a bytearray, not bytes"),
        (lambda: LengthPrefixed(u32).decoder(100), "buffer must be a bytearray, not int"),
        (lambda: LengthPrefixed(u32).decoder("x"), "buffer must be a bytearray, not str"),
        (lambda: LengthPrefixed(u32).decoder().switch("lines"), "switch: 'lines' is not a framing"),
    ],
)
def test_wrong_types(make: Any, text: str, backend: Any) -> None:
    with pytest.raises(TypeError, match=text):
        make()


def test_extra_may_share_a_byte_with_the_length(backend: Any) -> None:
    framing = LengthPrefixed(u8, mask=0xF0, extra=((0, u8, 0x0F),))
    assert framing.encode(b"\x02abcPP") == b"\x32abcPP"
    assert framing.decoder().decode(b"\x32abcPP\x00") == [b"\x32abcPP", b"\x00"]


def test_bytes_in_front_of_the_tag_follow_the_parts(backend: Any) -> None:
    for eof, ends in (("error", True), ("drop", False)):
        decoder = Tagged({1: Lines()}, offset=1, eof=eof).decoder()
        decoder.decode(b"x")
        if ends:
            with pytest.raises(fw.Truncated):
                decoder.feed_eof()
        else:
            assert decoder.feed_eof() == []
    decoder = Tagged({1: Lines()}, offset=1, eof="deliver").decoder()
    decoder.decode(b"x")
    with pytest.raises(fw.Truncated):
        decoder.feed_eof()


def test_the_fewest_bytes_of_a_frame(backend: Any) -> None:
    assert LengthPrefixed(u8, offset=3, counts="field", adjust=10).decoder().needed == 13
    assert LengthPrefixed(u8, offset=3, counts="frame", adjust=10).decoder().needed == 10
    assert LengthPrefixed(u8, offset=3, header=6, counts="rest", adjust=10).decoder().needed == 14
    # Behind a frame that is being skipped comes at least one more.
    options = {"max_frame": 20, "on_too_large": "skip"}
    decoder = LengthPrefixed(u8, offset=3, counts="field", adjust=10, **options).decoder()
    with pytest.raises(fw.FrameTooLarge):
        decoder.decode(b"\0\0\0\x32")
    assert decoder.needed == 3 + 50 + 10 - 4 + 13


def test_threads_share_one_framing(backend: Any) -> None:
    framing = LengthPrefixed(u32, trailer=b"!")
    wrong: list[Any] = []
    gate = threading.Barrier(8)

    def work(number: int) -> None:
        body = bytes([number]) * (1 + number * 300)
        wire = len(body).to_bytes(4, "big") + body + b"!"
        gate.wait()
        for _ in range(300):
            if framing.encode(body) != wire or framing.encode_many([body, body]) != wire + wire:
                wrong.append(number)
            if b"".join(framing.encode_parts(body)) != wire or framing.decoder().decode(wire) != [body]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_tagged_refuses_parts_that_deliver_without_the_tag() -> None:
    for part in (
        fw.Chunked("http", strip=True),
        fw.Chunked("netconf", strip=True),
        fw.Delimited(b"\r\n.\r\n", dot_stuffed=True, strip=True),
        fw.SLIP(strip=True),
    ):
        with pytest.raises(fw.DeclarationError, match="Tagged"):
            fw.Tagged({1: part})
    assert fw.Tagged({ord("3"): fw.Chunked("http")}).decoder().decode(b"3\r\nabc\r\n0\r\n\r\n") == [
        b"3\r\nabc\r\n0\r\n\r\n"
    ]
