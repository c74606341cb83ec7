"""The framings that the decoder and encoder tests run over, each with messages it can carry.

`CATALOGUE` maps a name to (framing, messages). Together they use every parameter of every framing, every
length type and every way a frame can be delivered; limits are small, so that random bytes meet them.
"""

from __future__ import annotations

import framewire as fw
from framewire import (
    COBS,
    FIX,
    HDLC,
    RESP,
    SLIP,
    Chunked,
    Custom,
    Delimited,
    Enclosed,
    FixedLength,
    Framing,
    HeaderBlock,
    LengthPrefixed,
    LineCounted,
    Lines,
    Netstring,
    Preamble,
    Tagged,
    UntilEOF,
)

BODIES = [b"", b"a", b"hello", b"\x00\x01\xff", b"x" * 20]


def whole(*headers_and_bodies: bytes) -> list[bytes]:
    return list(headers_and_bodies)


def pairs(view: memoryview, scanned: int, eof: bool) -> tuple[int, int, int] | int | None:
    """A Custom framing: a digit, so many bytes, a semicolon."""
    if len(view) < 1:
        return None
    size = view[0] - 48
    if not 0 <= size <= 9:
        raise fw.MalformedFrame("not a digit", reason="bad-length")
    if len(view) < size + 2:
        return size + 2 - len(view)
    return 1, 1 + size, size + 2


def join_pairs(message: bytes) -> bytes:
    return b"%d%b;" % (len(message), message)


U8, U16, U32 = fw.u8, fw.u16, fw.u32
STOMP = HeaderBlock("n", start_line=True, bare_lf=True, missing="nul", max_header=30, max_frame=30)
WEBSOCKET = fw.tiered(U8, {126: U16, 127: fw.i64}, mask=0x7F, follow=(0x80, 4), canonical=True)
COAP = fw.tiered(U8, {13: (U8, 13), 14: (U16, 269), 15: (U32, 65805)}, mask=0xF0)
TARANTOOL = fw.tiered(U8, {0xCC: U8, 0xCD: U16, 0xCE: U32, 0xCF: fw.u64}, direct=0x7F)
POSTGRES = LengthPrefixed(U32, offset=1, counts="field")

CATALOGUE: dict[str, tuple[Framing, list[bytes]]] = {
    "fixed": (FixedLength(3), [b"abc", b"\0\0\0", b"xyz"]),
    "u8": (LengthPrefixed(U8), BODIES),
    "u16le": (LengthPrefixed(fw.u16le, max_frame=64), BODIES),
    "u24": (LengthPrefixed(fw.u24, max_frame=64, on_too_large="skip"), BODIES),
    "u32": (LengthPrefixed(U32, max_frame=64), BODIES),
    "u40le": (LengthPrefixed(fw.u40le, max_frame=64), BODIES),
    "u48": (LengthPrefixed(fw.u48, max_frame=64), BODIES),
    "u56": (LengthPrefixed(fw.u56, max_frame=64), BODIES),
    "u64": (LengthPrefixed(fw.u64, max_frame=64, on_too_large="skip"), BODIES),
    "u64-unlimited": (LengthPrefixed(fw.u64, max_frame=None), BODIES),
    "i16": (LengthPrefixed(fw.i16, max_frame=64), BODIES),
    "i32-escape": (LengthPrefixed(fw.i32, escape=(-1, fw.u64), max_frame=64), BODIES),
    "masked": (LengthPrefixed(U16, mask=0x0FFE, strip=True, max_frame=64), BODIES),
    "masked-whole": (LengthPrefixed(U16, mask=0x0FFE), [b"\xf0\x00ab", b"\x00\x00", b"\x00\x01xyz"]),
    "drop": (LengthPrefixed(U8, eof="drop", max_frame=30), BODIES),
    "counts-rest": (LengthPrefixed(U16, header=4, counts="rest", max_frame=64), [b"\0\0XYabc", b"\0\0XY"]),
    "counts-field": (POSTGRES, [b"Z\0\0\0\0I", b"T\0\0\0\0", b"D\0\0\0\0hello"]),
    "counts-frame": (LengthPrefixed(U16, offset=2, counts="frame"), [b"ab\0\0cd", b"ab\0\0"]),
    "varint-frame": (
        LengthPrefixed(fw.varint, counts="frame", strip=True, max_frame=400),
        [*BODIES, b"y" * 125, b"y" * 126, b"y" * 127],
    ),
    "adjusted": (LengthPrefixed(U8, adjust=-2, max_frame=64), BODIES),
    "added": (LengthPrefixed(U8, adjust=2, max_frame=64), [b"ab", b"abcdef"]),
    "x11": (
        LengthPrefixed(U16, offset=2, counts="frame", scale=4, escape=(0, U32), max_frame=64),
        [b"op\0\0", b"op\0\0abcd", b"op\0\0abcdefgh"],
    ),
    "fastcgi": (
        LengthPrefixed(U16, offset=4, header=8, magic=b"\x01", extra=((6, U8),), max_frame=64),
        [b"\1\2\0\1\0\0\0\0", b"\1\2\0\1\0\0\3\0helloPPP", b"\1\2\0\1\0\0\0\0hey"],
    ),
    "memcached": (
        LengthPrefixed(U16, offset=2, header=6, magic=((0, (b"\x80", b"\x81")),), max_frame=64),
        [b"\x80\1\0\0okabc", b"\x81\1\0\0ok"],
    ),
    "magic-both-sides": (
        LengthPrefixed(U8, offset=2, header=5, magic=((0, b"MG"), (3, b"\xaa\xbb")), max_frame=64),
        BODIES,
    ),
    "amqp": (
        LengthPrefixed(U32, offset=3, trailer=b"\xce", max_frame=64),
        [b"\1\0\0\0\0\0\0hi\xce", b"\2\0\0\0\0\0\0\xce"],
    ),
    "trailer": (LengthPrefixed(U8, trailer=b"\r\n"), BODIES),
    "crc": (LengthPrefixed(U8, trailer=4), [b"\0CRC!", b"\0abcCRC!"]),
    "digits": (LengthPrefixed(fw.digits(3), max_frame=64, on_too_large="skip"), BODIES),
    "octet-counting": (LengthPrefixed(fw.digits(end=b" "), max_frame=64), BODIES),
    "digits-crlf": (
        LengthPrefixed(
            fw.digits(end=b"\r\n", max_digits=4), trailer=b"\r\n", on_too_large="skip", max_frame=64
        ),
        BODIES,
    ),
    "hexdigits": (LengthPrefixed(fw.hexdigits(4), counts="frame", max_frame=64), BODIES),
    "git": (
        LengthPrefixed(fw.hexdigits(4), counts="frame", control=(0, 1, 2, 3), max_frame=64),
        [b"0000", b"0001", b"0003", b"????hello", b"????"],
    ),
    "control": (
        LengthPrefixed(U8, header=2, control=(0, 3), trailer=b";", max_frame=64),
        [b"\0x", b"\3y", b"??hello;", b"??ab;"],
    ),
    "control-varint": (
        LengthPrefixed(fw.varint, control=(5, 300), max_frame=9),
        [b"\5", b"\xac\2", b"\0abc"],
    ),
    "control-digits": (
        LengthPrefixed(fw.digits(end=b" "), adjust=1, control=(7, 99), on_too_large="skip", max_frame=9),
        [b"7 ", b"99 ", b"0 abc"],
    ),
    "record-marking": (LengthPrefixed(U32, fragments="top_bit", max_frame=64), BODIES),
    "record-marking-whole": (
        LengthPrefixed(
            fw.u16le, offset=1, header=4, fragments="top_bit", strip=False, magic=b"R", max_frame=64
        ),
        [b"R\0\0X", b"R\0\0Xhello"],
    ),
    "full": (
        LengthPrefixed(U8, fragments=("full", 4), max_frame=64),
        [*BODIES, b"full", b"fulls"],
    ),
    "full-counted": (
        LengthPrefixed(fw.u24le, header=4, fragments=("full", 5, 3), max_frame=64),
        [b"\0\0\0\0", b"\0\0\0\xfehello again", b"\0\0\0\1hello", b"\0\0\0\1helloh"],
    ),
    "full-scaled": (
        LengthPrefixed(
            U8,
            offset=2,
            header=4,
            counts="rest",
            scale=2,
            mask=0x7F,
            magic=((1, b"F"),),
            fragments=("full", 3, 0),
            strip=True,
            eof="drop",
            max_frame=64,
        ),
        [b"a", b"abcdefgh", b"abcdefghijk"],
    ),  # fmt: skip
    "preamble-fragments": (
        Preamble(
            LengthPrefixed(U8, fragments="top_bit", max_frame=30),
            LengthPrefixed(U8, fragments=("full", 2)),
            2,
        ),
        [b"ab", b"", b"cdefg", b"hi"],
    ),
    "netstring": (Netstring(max_frame=64), BODIES),
    "netstring-skip": (Netstring(max_frame=15, on_too_large="skip"), BODIES[:4]),
    "netstring-whole": (Netstring(strip=False), [b"5:hello,", b"0:,"]),
    "varint": (LengthPrefixed(fw.varint, max_frame=200), [*BODIES, b"z" * 127, b"z" * 128]),
    "leb128-4": (
        LengthPrefixed(fw.leb128(max_bytes=4, canonical=True), offset=1, max_frame=200),
        [b"\x10\x00", b"\x30\x00" + b"m" * 150],
    ),
    "vlq": (LengthPrefixed(fw.vlq, max_frame=200), [*BODIES, b"z" * 128]),
    "quic": (LengthPrefixed(fw.quicvarint, max_frame=200), [*BODIES, b"z" * 64]),
    "varint32": (LengthPrefixed(fw.varint32, max_frame=200), [*BODIES, b"z" * 128]),
    "zigzag": (LengthPrefixed(fw.zigzag, max_frame=200), [*BODIES, b"z" * 63, b"z" * 64]),
    "zigzag32": (LengthPrefixed(fw.zigzag32, adjust=3, max_frame=200), [b"z" * 3, b"z" * 66, b"z" * 67]),
    "sleb128": (LengthPrefixed(fw.sleb128, max_frame=200), [*BODIES, b"z" * 63, b"z" * 64]),
    "compactsize": (LengthPrefixed(fw.compactsize, max_frame=300), [*BODIES, b"z" * 252, b"z" * 253]),
    "derlength": (LengthPrefixed(fw.derlength, max_frame=200), [*BODIES, b"z" * 127, b"z" * 128]),
    "http3": (
        LengthPrefixed(fw.quicvarint, offset=fw.quicvarint, max_frame=100),
        [b"\x01\x00", b"\x40\x41\x00abc"],
    ),
    "http3-strip": (LengthPrefixed(fw.quicvarint, offset=fw.quicvarint, strip=True, max_frame=100), BODIES),
    "ber": (
        LengthPrefixed(fw.ber, offset=1, magic=b"\x30", strip=False, max_frame=300),
        [b"\x30\x00", b"\x30\x00" + b"q" * 130, b"\x30\x82\x00\x03abc"],
    ),
    "websocket": (
        LengthPrefixed(WEBSOCKET, offset=1, max_frame=200),
        [b"\x82\x05hello", b"\x82\x80MASKdata", b"\x82\x00" + b"w" * 126],
    ),
    "coap": (
        LengthPrefixed(COAP, header=2, extra=((0, U8, 0x0F),), max_frame=400),
        [b"\x01\x45T", b"\x00\x45" + b"p" * 12, b"\x02\x45" + b"p" * 13 + b"TK", b"\x00\x45" + b"p" * 300],
    ),
    "tarantool": (LengthPrefixed(TARANTOOL, max_frame=200), [*BODIES, b"t" * 128]),
    "tiered-signed": (
        LengthPrefixed(fw.tiered(U8, {0x81: fw.i8, 0x82: fw.i16le}, direct=0x80), max_frame=200),
        [*BODIES, b"s" * 128, b"s" * 129],
    ),
    "lines": (Lines(max_frame=30), [b"", b"one", b"two\rthree", b"x" * 30]),
    "lines-deliver": (Lines(max_frame=30, eof="deliver"), [b"", b"one"]),
    "lines-whole": (Lines(strip=False, max_frame=30), [b"\n", b"one\r\n", b"two\n"]),
    "lines-skip": (Lines(max_frame=8, on_too_large="skip"), [b"", b"one", b"x" * 8]),
    "crlf": (Delimited(b"\r\n", max_frame=30), [b"", b"a\nb", b"c\rd"]),
    "netconf": (Delimited(b"]]>]]>", max_frame=30), [b"", b"]]", b"<rpc/>"]),
    "overlap": (Delimited(b"aab", max_frame=10, on_too_large="skip"), [b"", b"aa", b"ab"]),
    "several": (Delimited(b";", b"\r\n", b"END", max_frame=12), [b"", b"EN", b"x\r"]),
    "nul-drop": (Delimited(b"\0", eof="drop"), [b"", b"abc"]),
    "slip": (SLIP(max_frame=30), [b"a", b"\xc0\xdb\xdc\xdd", b"x" * 30]),
    "slip-skip": (SLIP(max_frame=5, on_too_large="skip", eof="drop"), [b"a", b"\xc0\xc0\xc0", b"\xdb"]),
    "slip-whole": (SLIP(strip=False, max_frame=30), [b"a\xc0", b"\xdb\xdc\xdb\xdd\xc0"]),
    "hdlc": (HDLC(max_frame=30), [b"a", b"}~}~", b"]^"]),
    "hdlc-16": (HDLC(fcs=16, max_frame=30), [b"", b"a", b"}~}~", b"hi~"]),
    "hdlc-32": (HDLC(fcs=32, max_frame=6, on_too_large="skip"), [b"", b"a", b"}~}~", b"hi~"]),
    "cobs": (
        COBS(max_frame=300),
        [b"", b"\0", b"a\0b", b"\0\0a", b"n" * 254, b"n" * 255, b"n" * 254 + b"\0"],
    ),
    "cobs-reduced": (
        COBS(reduced=True, max_frame=300),
        [b"", b"\0", b"a\0b", b"\xff", b"n" * 254, b"\xff" * 255],
    ),
    "cobs-whole": (COBS(strip=False, max_frame=20, on_too_large="skip"), [b"\1\0", b"\2a\2b\0"]),
    "header-block": (HeaderBlock("L", max_header=30, max_frame=64), BODIES),
    "header-block-skip": (HeaderBlock("L", max_header=26, max_frame=5, on_too_large="skip"), BODIES[:3]),
    "header-block-nul": (HeaderBlock("S", missing="nul", max_header=30, max_frame=30), BODIES),
    "lsp": (
        HeaderBlock("Len", strip=False, max_header=40, max_frame=30),
        [b"leN:1\r\n\r\n!", b"Len: 2\r\nType: x\r\n\r\n{}", b"A:\r\nlEN:0\r\n\r\n"],
    ),
    "sip": (
        HeaderBlock("L", start_line=True, missing="empty", max_header=40, max_frame=30, on_too_large="skip"),
        [b"BYE sip:x SIP/2.0\r\nVia: y\r\n\r\n", b"200 OK\r\nL: 3\r\n\r\nabc", b"x\r\n\r\n"],
    ),
    "stomp": (
        STOMP,
        [b"SEND\na:b\n\nhello\0", b"ACK\n\n\0", b"SEND\r\nN: 3\r\n\r\n\0\0\0\0"],
    ),
    "stomp-skip": (STOMP.replace(on_too_large="skip", max_frame=4, eof="drop"), [b"A\n\nbody\0", b"A\n\n\0"]),
    "netconf-chunks": (
        Chunked("netconf", max_header=60, max_frame=30),
        [b"a", b"<rpc/>", b"\n##\n", b"x" * 30],
    ),
    "netconf-whole": (
        Chunked("netconf", strip=False, max_header=60, max_frame=30),
        [b"\n#1\nx\n##\n", b"\n#4\n\n##\n\n#10\n0123456789\n##\n"],
    ),
    "http-chunks": (
        Chunked("http", max_header=60, max_frame=30, eof="drop"),
        [b"", b"a", b"0\r\n\r\n", b"x" * 30],
    ),
    "http-whole": (
        Chunked("http", strip=False, max_header=80, max_frame=30),
        [b"0\r\n\r\n", b"3;a=b\r\nabc\r\n0B \r\n12345678901\r\n00\r\nDigest: x\r\n\r\n"],
    ),
    "tagged-text": (
        Tagged(
            {b"L": HeaderBlock("L", max_header=40), b"\n": Chunked("netconf", max_header=60)},
            default=STOMP,
            max_frame=30,
        ),
        [b"L: 2\r\n\r\nok", b"\n#2\nok\n##\n", b"ACK\n\nok\0"],
    ),
    "line-counted": (
        LineCounted({b"set": 4, b"ms": 2, b"PUB": -1}, max_frame=30, max_line=40),
        [b"\r\n", b"get a\r\n", b"set a 0 0 3\r\n\r\n\n\r\n", b"PUB x 5\r\nhello\r\n", b"ms k 0 T\r\n\r\n"],
    ),
    "line-counted-skip": (
        LineCounted({b"MSG": -1}, ignore_case=True, max_frame=6, max_line=30, on_too_large="skip"),
        [b"+OK\r\n", b"msg a 1 2\r\nhi\r\n", b" Msg\tz  6\t\r\nsix...\r\n"],
    ),
    "resp": (
        RESP(max_frame=60, max_depth=3),
        [
            b"+OK\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n$1\r\nx\r\n*1\r\n*1\r\n:7\r\n",
            b"%2\r\n+a\r\n,1.5\r\n+b\r\n#t\r\n",
            b"|1\r\n+ttl\r\n:9\r\n~2\r\n_\r\n(12345\r\n",
            b">1\r\n=7\r\ntxt:abc\r\n",
            b"!3\r\nERR\r\n",
        ],
    ),
    "resp-inline": (
        RESP(inline=True, max_frame=20, eof="drop"),
        [b"PING\r\n", b"\r\n", b"-ERR\r\n", b"*1\r\n$4\r\nPING\r\n"],
    ),
    "fix": (
        FIX(max_frame=40),
        [
            b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01",
            b"8=FIXT.1.1\x019=0\x0110=022\x01",
            b"8=FIX.4.2\x019=010\x0135=0\x0134=2\x0110=212\x01",
        ],
    ),
    "fix-skip": (
        FIX(max_frame=6, on_too_large="skip", eof="drop"),
        [b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01", b"8=FIX\x019=0\x0110=004\x01"],
    ),
    "mllp": (Enclosed(b"\x0b", b"\x1c\r", max_frame=30), [b"", b"MSH|\r\x1c", b"\x0b", b"x" * 30]),
    "mllp-skip": (
        Enclosed(b"\x0b", b"\x1c\r", max_frame=5, on_too_large="skip", noise_limit=4, eof="drop"),
        [b"", b"\x1c\x1c", b"12345"],
    ),
    "mllp-whole": (
        Enclosed(b"\x0b", b"\x1c\r", strip=False, max_frame=30),
        [b"\x0b\x1c\r", b"\x0bab\x1cc\x1c\r"],
    ),
    "stx": (Enclosed(b"\2", b"\3", escape=b"\x10", max_frame=30), [b"", b"\2\x10\3", b"x" * 30]),
    "dle": (
        Enclosed(b"\x10\2", b"\x10\3", escape=b"\x10", max_frame=6, on_too_large="skip", noise_limit=7),
        [b"", b"\x10\x10\3\2", b"\3\x10"],
    ),
    "dle-restart": (
        Enclosed(b"\x10\2A", b"\x10\3", escape=b"\x10", restart=True, max_frame=6, on_too_large="skip"),
        [b"", b"\x10\2A", b"\3\x10"],
    ),
    "gdb": (
        Enclosed(b"$", b"#", escape=b"}", escape_xor=0x20, trailer=2, max_frame=20),
        [b"$#00", b"$g}\3#67", b"$##$"],
    ),
    "gdb-strip": (
        Enclosed(b"$", b"#", escape=b"}", escape_xor=0x20, noise_limit=None, max_frame=20),
        [b"", b"g$#}", b"x" * 20],
    ),
    "gdb-acks": (
        Tagged(
            {
                b"+-\3": FixedLength(1),
                ord("$"): Enclosed(
                    b"$", b"#", escape=b"}", escape_xor=0x20, trailer=2, noise="error", max_frame=20
                ),
            }
        ),
        [b"+", b"$g#67", b"-"],
    ),
    "json-seq": (Enclosed(b"\x1e", b"\n", restart=True, max_frame=20), [b"", b"{}", b"[1,2]"]),
    "json-seq-skip": (
        Enclosed(b"\x1e", b"\n", restart=True, max_frame=4, on_too_large="skip", strip=False),
        [b"\x1e\n", b"\x1e{}\n"],
    ),
    "long-marks": (
        Enclosed(b"aab", b"abb", max_frame=9, noise_limit=3, restart=True, on_too_large="skip"),
        [b"", b"ab", b"bb", b"b"],
    ),
    "same-marks": (Enclosed(b"~~", b"~~", noise="error", max_frame=20), [b"", b"a~b", b"x" * 20]),
    "dotted": (
        Delimited(b"\r\n.\r\n", dot_stuffed=True, max_frame=30),
        [b"", b"\r\n", b".\r\n..\r\n.\n.\r\n", b"hello\r\n"],
    ),
    "dotted-skip": (
        Delimited(b"\r\n.\r\n", dot_stuffed=True, max_frame=6, on_too_large="skip", eof="drop"),
        [b"", b".\r\n.\r\n", b"....\r\n"],
    ),
    "dotted-whole": (
        Delimited(b"\r\n.\r\n", dot_stuffed=True, strip=False, max_frame=30),
        [b".\r\n", b"..a\r\n.\r\n"],
    ),
    "tagged": (
        Tagged(
            {
                b"AB": FixedLength(3),
                ord("C"): LengthPrefixed(U8, offset=1, max_frame=20),
                10: Lines(max_frame=9),
            }
        ),
        [b"A12", b"B34", b"C\0abc", b"\n"],
    ),
    "tagged-offset": (
        Tagged(
            {1: LengthPrefixed(U8, counts="frame", header=2)}, default=FixedLength(4), offset=1, mask=0x0F
        ),
        [b"\0\1ab", b"\0\2cd"],
    ),
    "syslog": (
        Tagged(
            {b"123456789": LengthPrefixed(fw.digits(end=b" "), max_frame=40)},
            default=Lines(max_frame=40),
            on_too_large="skip",
        ),
        [b"5 hello", b"<34>old\n"],
    ),
    "tagged-nested": (
        Tagged(
            {0x80: Tagged({0x81: FixedLength(2)}, default=LengthPrefixed(U8, offset=1))},
            default=Netstring(max_frame=9),
            mask=0x80,
        ),
        [b"\x81z", b"\x82\0ab", b"3:abc,"],
    ),
    "tagged-eof": (Tagged({1: UntilEOF(max_frame=12)}, default=FixedLength(2)), [b"\0a", b"\0b"]),
    "preamble": (Preamble(FixedLength(4), LengthPrefixed(U8, max_frame=30)), [b"HELO", b"", b"abc"]),
    "preamble-2": (
        Preamble(Lines(max_frame=9), Preamble(Netstring(max_frame=9), FixedLength(2)), count=2),
        [b"a", b"b", b"net", b"12", b"34"],
    ),
    "preamble-eof": (Preamble(Delimited(b"\n\n"), UntilEOF(max_frame=20)), [b"head"]),
    "until-eof": (UntilEOF(max_frame=20), [b"everything"]),
    "custom": (Custom(pairs, join_pairs, max_frame=12), [b"", b"abc", b"123456789"]),
    "custom-preamble": (Preamble(Custom(pairs, join_pairs), Lines(max_frame=9)), [b"abc", b"line"]),
    "preamble-custom": (
        Preamble(Lines(max_frame=9), Custom(pairs, join_pairs, eof="drop")),
        [b"line", b"abc", b""],
    ),
}

# Frames that are assembled in an object of their own, and others beside them.
BIG = [b"", b"x" * 4095, b"y" * 4096, b"z" * 5000, bytes(range(256)) * 100, b"w" * 70000]
LARGE: dict[str, tuple[Framing, list[bytes]]] = {
    "u32": (LengthPrefixed(U32), BIG),
    "whole": (POSTGRES, [b"T\0\0\0\0" + body for body in BIG]),
    "trailer": (LengthPrefixed(U32, trailer=b"\xce"), BIG),
    "fragments": (
        LengthPrefixed(U16, header=3, fragments=("full", 9000, 2)),
        [bytes(3) + body for body in BIG],
    ),
    "fixed": (FixedLength(9000), [b"q" * 9000]),
    "netstring": (Netstring(), BIG),
    "varint": (LengthPrefixed(fw.varint), BIG),
    "lines": (Lines(), [*BIG[:4], b"k" * 70000]),
    "skip": (LengthPrefixed(U32, max_frame=4500, on_too_large="skip"), BIG[:3]),
    "preamble": (
        Preamble(FixedLength(9000), LengthPrefixed(U16, max_frame=30000)),
        [b"q" * 9000, b"f" * 20000, b""],
    ),
    "until-eof": (UntilEOF(), [b"g" * 90000]),
    "header-block": (HeaderBlock(), BIG),
    "header-block-whole": (
        HeaderBlock(start_line=True, missing="empty"),
        [b"PUT x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) for body in BIG],
    ),
    "stomp": (STOMP.replace(max_frame=1 << 20), [b"SEND\n\n" + b"k" * 70000 + b"\0", b"ACK\n\n\0"]),
    "http-chunks": (Chunked("http"), BIG),
    "netconf-chunks": (
        Chunked("netconf", strip=False),
        [b"\n#5000\n" + b"z" * 5000 + b"\n#40000\n" + b"w" * 40000 + b"\n##\n", b"\n#1\nx\n##\n"],
    ),
    "tagged": (
        Tagged({1: LengthPrefixed(U32, offset=1)}, default=Lines()),
        [*[b"\1\0\0\0\0" + body for body in BIG], b"line\n"],
    ),
}
