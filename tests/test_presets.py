"""Real protocols by name: each cuts and writes an example from its specification; names, sides, suggestions.

An example is a list of frames. In a frame, hex stands for bytes and 'text' for ASCII; {...} is on the wire
but not in the message; [...] is a length, which encoding fills in where the message has zeros (or what
stands behind the colon). A frame whose bytes change on the wire is a pair (message, wire).
"""

from __future__ import annotations

import ast
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import framewire as fw
from framewire import DeclarationError, FixedLength, LengthPrefixed, Preamble, Protocol, Tagged, framing
from framewire import protocols as names
from framewire._backend import Backend
from framewire._preset import Preset
from framewire.protocols import PRESETS

SIDES = {name: made for row in PRESETS.values() for name, made in row.sides.items()}
MIB = 1 << 20

EXAMPLES: dict[str, list[str | tuple[str, str]]] = {
    "9p": ["[13000000] 64 ffff 00200000 0600 '9P2000'", "[07000000] 79 0100"],
    "adb": ["{'000c'} 'host:version'"],
    "adb-device": [
        "'CNXN' 00000001 00100000 [07000000] 32020000 bcb1a7b1 'host::' 00",
        "'OKAY' 01000000 02000000 [00000000] 00000000 b0b4bea6",
    ],
    "amqp.client": ["'AMQP' 00000901", "01 0000 [0000000c] 000a 001f 07ff 00020000 003c ce"],
    "amqp.server": ["01 0000 [0000000c] 000a 001e 07ff 00020000 003c ce", "08 0000 [00000000] ce"],
    "amqp1": [
        "'AMQP' 03 010000",
        "'AMQP' 00 010000",
        "[00000013] 02 00 0000 005310 c00602 a102 'me' 40",
        "[00000008] 02 00 0000",
    ],
    "beanstalkd.client": [
        "'put 1024 0 60 5' 0d0a 'hello' 0d0a",
        "'reserve' 0d0a",
    ],
    "beanstalkd.server": ["'INSERTED 1' 0d0a", "'RESERVED 1 5' 0d0a 'hello' 0d0a", "'OK 3' 0d0a '---' 0d0a"],
    "bgp": [
        "ffffffffffffffff ffffffffffffffff [001d] 01 04 fde8 00b4 0a000001 00",
        "ffffffffffffffff ffffffffffffffff [0013] 04",
    ],
    "bitcoin": [
        "f9beb4d9 'verack' 000000000000 [00000000] 5df6e0e2",
        "f9beb4d9 'ping' 0000000000000000 [08000000] 2502fa94 0102030405060708",
    ],
    "bittorrent": [
        "13 'BitTorrent protocol' 0000000000000000" + "aa" * 20 + "'-XX0001-abcdefghijkl'",
        "{00000001} 02",
        "{00000000}",
        "{0000000d} 06 00000000 00000000 00004000",
    ],
    "cassandra": [
        "04 00 0000 05 [00000000]",
        "04 00 0001 01 [00000016] 0001 000b 'CQL_VERSION' 0005 '3.0.0'",
    ],
    "cassandra5": ["[0900] 02 a4c8c1 05 00 0000 05 00000000 1086284d"],
    "coap": [
        "[00] e1",
        "[31:01] 01 7f b2 'tv'",
        "[d101:01] 45 7f ff 'hello, world!'",
        "[e1001f:01] 45 7f ff" + "61" * 299,
        "[f100000001:01] 45 7f ff" + "61" * 65805,
    ],
    "cobs": [("11220033", "0311220233 00"), ("", "01 00")],
    "dap": ['{\'Content-Length: 33\' 0d0a0d0a} \'{"seq":1,"type":"request","a":12}\''],
    "diameter": [
        "01 [000014] 80 000118 00000000 00000001 00000002",
        "01 [000020] 80 000118 00000000 00000003 00000004 00000108 4000000c 'host'",
    ],
    "dicom": ["05 00 [00000004] 00000000"],
    "dns": ["{001d} 1234 0100 0001 0000 0000 0000 07 'example' 03 'com' 00 0001 0001"],
    "epp": ["{0000000a} '<epp/>'"],
    "erlang-1": ["{05} 'hello'", "{00}"],
    "erlang-2": ["{0005} 'hello'"],
    "erlang-4": ["{00000005} 'hello'"],
    "fastcgi": [
        "01 01 0001 [0008] 00 00 0001 00 0000000000",
        "01 05 0001 [0005] 03 00 'hello' 000000",
        "01 05 0001 [0000] 00 00",
    ],
    "fix": ["'8=FIX.4.4' 01 '9=5' 01 '35=0' 01 '10=163' 01"],
    "giop": [
        "'GIOP' 0102 00 03 [00000008] 00000001 00000000",
        "'GIOP' 0102 01 04 [08000000] 01000000 00000000",
        "'GIOP' 0102 00 05 [00000000]",
    ],
    "git": ["'0006a' 0a", "'0005a'", "'000bfoobar' 0a", "'0004'", "'0000'", "'0001'", "'0002'"],
    "grpc": ["00 [00000005] 0a03 'abc'"],
    "gdb": ["'+'", "'$qC#b4'", "'%Stop:T05#e3'", "'-'", "03"],
    "hsms": ["{0000000a} ffff 00 00 00 05 00000001"],
    "http-chunked": ["{'4' 0d0a} 'Wiki' {0d0a '0' 0d0a0d0a}"],
    "http2.client": [
        "'PRI * HTTP/2.0' 0d0a0d0a 'SM' 0d0a0d0a",
        "[000006] 04 00 00000000 0003 00000064",
    ],
    "http2.server": ["[000000] 04 01 00000000", "[000008] 06 00 00000000 0102030405060708"],
    "http3": ["00 [05] 'hello'", "4041 [02] 'hi'"],
    "iec104": ["{6804} 07000000", "{6804} 01000200"],
    "iso8583": ["{0004} '0800'"],
    "iso8583-ascii": ["{'0004'} '0800'"],
    "iso8583-inclusive": ["{0006} '0800'"],
    "itch": ["{000c} 'S' 0000 0000 0a2d2b5c8e5f 'O'"],
    "jdwp": ["'JDWP-Handshake'", "[0000000b] 00000001 00 01 01", "[0000000f] 00000001 80 0000 00000008"],
    "json-seq": ["{1e} '{\"a\":1}' {0a}", "{1e} 'null' {0a}"],
    "kafka": ["{00000011} 0012 0000 00000001 0007 'console'"],
    "kerberos": ["{00000004} 6a023000"],
    "ldap": ["30 [0c] 020101 60 07 020103 0400 8000", "30 [05] 020103 4200"],
    "lsp": ["{'Content-Length: 17' 0d0a0d0a} '{\"jsonrpc\":\"2.0\"}'"],
    "memcached-binary": [
        "80 00 0005 00 00 0000 [00000005] 00000000 0000000000000000 'Hello'",
        "81 00 0000 04 00 0000 [00000009] 00000000 0000000000000001 deadbeef 'World'",
    ],
    "memcached.client": [
        "'set key 0 60 5' 0d0a 'value' 0d0a",
        "'cas key 0 60 2 77' 0d0a 'hi' 0d0a",
        "'get key' 0d0a",
        "'ms foo 2' 0d0a 'hi' 0d0a",
    ],
    "memcached.server": [
        "'STORED' 0d0a",
        "'VALUE key 0 5' 0d0a 'value' 0d0a",
        "'END' 0d0a",
        "'VA 2' 0d0a 'hi' 0d0a",
    ],
    "minecraft": ["{0f} 00 2f 09 'localhost' 63dd 01", "{01} 00"],
    "mllp": ["{0b} 'MSH|^~\\\\&|A' 0d {1c0d}", "{0b} 'MSA|AA' 0d {1c0d}"],
    "modbus": ["0001 0000 [0006] 11 03 006b 0003"],
    "mongodb": [
        "[24000000] 01000000 00000000 dd070000 00000000 00 0f000000 10 'ping' 00 01000000 00",
    ],
    "mqtt": ["10 [0e] 0004 'MQTT' 04 02 003c 0002 'me'", "c0 [00]"],
    "multiprocessing": ["{00000003} 'abc'", "{00000000}"],
    "mysql": ["[010000] 00 0e", "[090000] 00 03 'select 1'", "[000000] 05"],
    "nats": [
        "'CONNECT {}' 0d0a",
        "'PUB greet.joe 5' 0d0a 'hello' 0d0a",
        "'hpub a 12 14' 0d0a 'NATS/1.0' 0d0a0d0a 'hi' 0d0a",
        "'MSG greet.joe 9 5' 0d0a 'hello' 0d0a",
        "'PING' 0d0a",
    ],
    "ndjson": ["'{\"a\":1}' {0a}", "'[]' {0a}"],
    "netbios": ["00 [000004] 'abcd'", "85 [000000]"],
    "netconf": ["'<hello/>' {']]>]]>'}"],
    "netconf11": ["'<hello/>' {']]>]]>'}", "{0a '#5' 0a} '<ok/>' {0a '##' 0a}"],
    "netstring": ["{'12:'} 'hello world!' {','}", "{'0:'} {','}"],
    "opcua": ["'HELF' [20000000] 00000000 00000100 00000100 00000000 00000000 ffffffff"],
    "openflow": ["04 00 [0008] 00000001", "04 02 [000c] 00000002 'ping'"],
    "postgresql.client": [
        "[00000008] 04d2162f",
        "[00000012] 00030000 'user' 00 'joe' 00 00",
        "'Q' [0000000d] 'SELECT 1' 00",
        "'X' [00000004]",
    ],
    "postgresql.server": ["'R' [00000008] 00000000", "'Z' [00000005] 'I'"],
    "ppp": [("313233343536373839", "313233343536373839 6e90 7e")],
    "protobuf": ["{03} 089601"],
    "radius": ["01 07 [0014] 00112233445566778899aabbccddeeff"],
    "redis": [
        "'*2' 0d0a '$4' 0d0a 'LLEN' 0d0a '$6' 0d0a 'mylist' 0d0a",
        "':48293' 0d0a",
        "'$-1' 0d0a",
        "'%1' 0d0a '+first' 0d0a ':1' 0d0a",
    ],
    "rsocket": ["{00000e} 00000000 0c80 0000000000000000"],
    "rtp": ["{000c} 80 00 0001 00000000 12345678"],
    "rtsp": [
        "'OPTIONS * RTSP/1.0' 0d0a 'CSeq: 1' 0d0a0d0a",
        "'$' 00 [0004] 80600001",
        "'RTSP/1.0 200 OK' 0d0a 'CSeq: 2' 0d0a 'Content-Length: 2' 0d0a0d0a 'hi'",
    ],
    "sip": [
        "'SIP/2.0 200 OK' 0d0a 'Content-Length: 4' 0d0a0d0a 'v=0' 0a",
        "'ACK sip:a@b SIP/2.0' 0d0a 'Content-Length: 0' 0d0a0d0a",
    ],
    "slip": [("61c062", "61dbdc62 c0"), ("db", "dbdd c0")],
    "smb": ["{00000004} fe 'SMB'"],
    "smpp": ["[00000010] 00000015 00000000 00000001", "[00000011] 80000004 00000000 00000001 00"],
    "smtp": ["'EHLO example.org' {0d0a}", "'250 OK' {0d0a}"],
    "smtp-data": [("610d0a2e620d0a", "610d0a 2e2e620d0a 2e0d0a"), ("", "2e0d0a")],
    "snmp": ["30 [26] 020101 0406 'public' a019 020101 020100 020100 300e 300c 06082b06010201010100 0500"],
    "soupbintcp": ["{0001} 'H'", "{0003} '+hi'"],
    "sse": ["'data: hi' {0a0a}"],
    "ssh": ["'SSH-2.0-OpenSSH_9.2' {0d0a}", "{0000000c} 0a 15 00000000000000000000"],
    "ssh-agent": ["{00000001} 0b", "{00000005} 0c 00000000"],
    "stomp": [
        "'CONNECT' 0a 'host:a' 0a0a 00",
        "'SEND' 0a 'content-length:2' 0a0a 'hi' 00",
        "'MESSAGE' 0a 'destination:/q' 0a0a 'hello' 00",
    ],
    "sunrpc": ["{80000018} 00000001 00000000 00000002 000186a3 00000003 00000000"],
    "syslog": ["{'5 '} '<34>a'", "{'9 '} '<34>a' 0a '<3>'"],
    "syslog-any": ["'<34>a' {0a}"],
    "syslog-lf": ["'<34>a' {0a}"],
    "tacacs": ["c0 01 02 00 deadbeef [00000006] 050100000000"],
    "tarantool.client": [
        "{03} 810040",
        "{ccc8}" + "c0" * 200,
        "{cd012c}" + "c0" * 300,
        "{ce00011170}" + "c0" * 70000,
    ],
    "tarantool.server": ["'Tarantool 2.11'" + "20" * 114, "{03} 810000"],
    "tds": [
        "12 01 [001a] 0000 01 00 00 000b 0006 01 0011 0001 ff 0a3200010000 00",
        "06 01 [0008] 0000 01 00",
    ],
    "thrift": ["{00000011} 80010001 00000004 'ping' 00000001 00"],
    "tls": ["15 0303 [0002] 0100"],
    "tns": ["[0008] 0000 0b 00 0000", "[000c] 0000 06 00 0000 0000 'ab'"],
    "tns12": ["[00000008] 0b 00 0000", "[0000000a] 06 00 0000 0040"],
    "tpkt": ["03 00 [0016] 11 e0 0000 0001 00 c1020100 c2020102 c0010a"],
    "uwsgi": ["00 [1500] 00 0e00 'REQUEST_METHOD' 0300 'GET'"],
    "wamp": ["7ff10000", "00 [000005] '[1,2]'"],
    "websocket": [
        "81 [05] 'Hello'",
        "81 [85:80] 37fa213d 7f9f4d5158",
        "89 [05] 'Hello'",
        "82 [7e0100:00]" + "5a" * 256,
        "82 [7f0000000000010000:00]" + "5a" * 65536,
    ],
    "x11.client": [
        "'B' 00 000b 0000 0012 0010 0000 'MIT-MAGIC-COOKIE-1' 0000 00112233445566778899aabbccddeeff",
        "10 00 [0003] 0004 0000 'ATOM'",
        "2b 00 [0001]",
    ],
    "x11.server": [
        "00 03 000b 0000 [0001] 'bad' 00",
        "01 00 0001 [00000001]" + "00" * 24 + "'more'",
        "02 18" + "00" * 30,
        "23 80 0002 [00000000]" + "00" * 24,
        "00 0a 0003" + "00" * 28,
    ],
    "x11-le.client": ["'l' 00 0b00 0000 0000 0000 0000", "10 00 [0300] 0400 0000 'ATOM'"],
    "x11-le.server": [
        "00 03 0b00 0000 [0100] 'bad' 00",
        "01 00 0100 [01000000]" + "00" * 24 + "'more'",
        "02 18" + "00" * 30,
    ],
    "zmtp": [
        "ff 0000000000000000 7f 03 01 'NULL'" + "00" * 48,
        "04 [19] 05 'READY' 0b 'Socket-Type' 00000003 'REQ'",
        "01 [00]",
        "00 [05] 'hello'",
        "02 [0000000000000100]" + "61" * 256,
    ],
}

SEGMENT = re.compile(
    r"""\[(?P<length>[^]:]*)(?::(?P<blank>[^]]*))?\]  # a length, and how the message leaves it open
    | \{(?P<outside>(?:'[^']*'|[^}'])*)\}            # on the wire only
    | (?P<plain>(?:'[^']*'|[^]\[{}'])+)""",
    re.VERBOSE,
)


def octets(text: str) -> bytes:
    """Hex digits and 'text'."""
    parts = text.split("'")
    return b"".join(part.encode() if odd % 2 else bytes.fromhex(part) for odd, part in enumerate(parts))


def read(frame: str | tuple[str, str]) -> tuple[bytes, bytes, bytes]:
    """(wire, message, message with an open length) of a frame of an example."""
    if isinstance(frame, tuple):
        message, wire = map(octets, frame)
        return wire, message, message
    assert SEGMENT.sub("", frame) == ""
    result = [b"", b"", b""]
    for segment in SEGMENT.finditer(frame):
        kind = segment.lastgroup
        if kind == "outside":
            result[0] += octets(segment["outside"])
        elif kind == "plain":
            result = [one + octets(segment["plain"]) for one in result]
        else:
            length = octets(segment["length"])
            blank = bytes(len(length)) if segment["blank"] is None else octets(segment["blank"])
            result = [one + part for one, part in zip(result, (length, length, blank))]
    return result[0], result[1], result[2]


@pytest.mark.parametrize("name", sorted(SIDES))
def test_an_example_of_the_specification(name: str, backend: Backend) -> None:
    made = SIDES[name]
    frames = [read(frame) for frame in EXAMPLES[name]]
    stream = b"".join(wire for wire, _, _ in frames)
    messages = [message for _, message, _ in frames]
    for step in (1, 5, len(stream)):
        decoder = backend.codec.Decoder(made._plan)
        cut: list[bytes] = []
        for start in range(0, len(stream), step):
            cut += decoder.decode(stream[start : start + step])
        assert cut + decoder.feed_eof() == messages
    assert backend.codec.Encoder(made._plan).encode_many(messages) == stream
    assert backend.codec.Encoder(made._plan).encode_many([blank for _, _, blank in frames]) == stream


def test_every_preset_has_an_example() -> None:
    assert set(EXAMPLES) == set(SIDES)


def test_forms_that_are_read_but_not_written() -> None:
    p = fw.protocols
    assert p.TARANTOOL.client.decoder().decode(octets("ce00000003 810040")) == [b"\x81\0@"]
    long_form = octets("30 8400000003 020103")
    assert p.LDAP.decoder().decode(long_form) == [long_form]
    assert p.MULTIPROCESSING.decoder().decode(octets("ffffffff 0000000000000001 '!'")) == [b"!"]
    counted = p.SYSLOG_ANY.decoder().decode(b"5 <34>a<34>b\n6 <34>\nc")
    assert counted == [b"<34>a", b"<34>b", b"<34>\nc"]


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SIDES))
def test_names_and_texts_both_ways(name: str) -> None:
    made = SIDES[name]
    assert framing(name) == made
    assert framing(f"{name},max_frame=8,eof=drop") == made.replace(max_frame=8, eof="drop")
    text = str(made)
    if isinstance(made, (Tagged, Preamble)):
        assert text == repr(made)
    else:
        assert framing(text) == made
        assert str(framing(text)) == text


@pytest.mark.parametrize("row", PRESETS.values(), ids=lambda row: row.name)
def test_a_row_says_what_users_need(row: Preset) -> None:
    made = getattr(names, row.constant)
    assert made is row.made is getattr(names, row.constant)
    assert row.about and row.source and "\n" not in row.about + row.source
    assert len(row.about) <= 100 and not row.about.endswith(".")
    assert row.limit is None or row.limit > MIB
    for one in row.sides.values():
        assert one.max_frame is not None and one.max_frame <= MIB, "limits are on"
        if row.limit is not None:
            assert one.replace(max_frame=row.limit).max_frame == row.limit
        assert pickle.loads(pickle.dumps(one)) == one


def test_constants_are_what_type_checkers_read() -> None:
    tree = ast.parse(Path(names.__file__).read_text())
    annotated = {
        node.target.id: ast.unparse(node.annotation)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.isupper()
    }
    assert annotated == {
        row.constant: "Protocol" if isinstance(row.made, Protocol) else "Framing" for row in PRESETS.values()
    }
    assert list(annotated) == sorted(annotated)
    assert set(annotated) <= set(dir(names))
    with pytest.raises(AttributeError, match="has no attribute 'DSN'"):
        names.DSN  # noqa: B018


def test_rows_are_in_order() -> None:
    assert list(PRESETS) == sorted(PRESETS)


def test_importing_makes_none() -> None:
    code = """
import framewire
from framewire.protocols import PRESETS
assert all(row._made is None for row in PRESETS.values())
from framewire.protocols import DNS, MQTT
framewire.framing("kafka")
print(*[row.name for row in PRESETS.values() if row._made is not None])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["dns", "kafka", "mqtt"], done.stderr


def test_the_declarations_read_as_they_are_taught() -> None:
    u8, u16, u24, u32 = fw.u8, fw.u16, fw.u24, fw.u32
    p = fw.protocols
    assert p.DNS == LengthPrefixed(u16)
    assert p.AMQP.server == LengthPrefixed(u32, offset=3, trailer=b"\xce")
    assert p.AMQP.client == Preamble(FixedLength(8), p.AMQP.server)
    assert p.HTTP2.server == LengthPrefixed(u24, header=9, max_frame=16384)
    typed = LengthPrefixed(u32, offset=1, counts="field")
    assert p.POSTGRESQL == Protocol(
        client=Tagged({0: LengthPrefixed(u32, counts="field", header=8)}, default=typed), server=typed
    )
    assert p.FASTCGI == LengthPrefixed(u16, offset=4, header=8, magic=b"\x01", extra=((6, u8),))
    assert p.MULTIPROCESSING == LengthPrefixed(fw.i32, escape=(-1, fw.u64))
    assert p.KERBEROS == LengthPrefixed(u32, mask=0x7FFFFFFF, strip=True)
    assert p.CASSANDRA5 == LengthPrefixed(fw.u24le, mask=0x01FFFF, header=6, trailer=4)
    assert p.LDAP == LengthPrefixed(fw.ber, offset=1, magic=b"\x30", strip=False)
    assert p.MQTT == LengthPrefixed(fw.leb128(max_bytes=4), offset=1)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("amqp", 1, "the directions of amqp differ: amqp.client is what a client sends, amqp.server what"),
        ("amqp.sevrer", 1, "the directions of amqp differ: amqp.client is"),
        ("amqp,max_frame=5", 1, "the directions of amqp differ"),
        ("dns.client", 1, "dns is the same in both directions: write dns"),
        ("mqqt", 1, "unknown name 'mqqt': did you mean mqtt"),
        ("MQTT", 1, "unknown name 'MQTT': did you mean mqtt?"),
        ("postgres", 1, "unknown name 'postgres': did you mean postgresql."),
        ("mqtt:4", 6, "mqtt takes no argument"),
        ("mqtt,offset=2", 6, "unknown key 'offset'"),
        ("amqp.client,strip=true", 13, "unknown key 'strip'"),
    ],
)
def test_errors_name_the_way_out(text: str, column: int, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        framing(text)
    assert str(caught.value).startswith(f"framing {text!r}, column {column}: ")
    assert message in str(caught.value)


def test_an_unknown_name_does_not_list_the_world() -> None:
    with pytest.raises(DeclarationError) as caught:
        framing("qqqqqqq")
    assert "framewire list" in str(caught.value) and "memcached" not in str(caught.value)


# --- Protocol -------------------------------------------------------------------------------------------


def test_protocol_is_a_value() -> None:
    one = Protocol(fw.Lines(), LengthPrefixed(fw.u16))
    assert one == Protocol(client=fw.Lines(), server=framing("u16"))
    assert hash(one) == hash(Protocol(client=fw.Lines(), server=framing("u16")))
    assert one != Protocol(one.server, one.client) and one != "lines"
    assert repr(one) == "Protocol(client=Lines(), server=LengthPrefixed(u16))" == str(one)
    assert pickle.loads(pickle.dumps(one)) == one
    for change in (lambda: setattr(one, "client", fw.Lines()), lambda: delattr(one, "server")):
        with pytest.raises(AttributeError, match="Protocol is frozen"):
            change()
    with pytest.raises(TypeError, match="Protocol: server must be a framing, not 'u16'"):
        Protocol(fw.Lines(), "u16")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Protocol: client must be a framing, not Protocol"):
        Protocol(one, fw.Lines())  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["decoder", "encode", "encoder", "replace", "max_frame"])
def test_a_bare_protocol_names_both_sides(verb: str) -> None:
    with pytest.raises(AttributeError, match=rf"no {verb}, its directions differ: .*\.client or of \.server"):
        getattr(fw.protocols.AMQP, verb)


@pytest.mark.parametrize("use", [lambda p: Preamble(FixedLength(1), p), lambda p: Tagged({1: p})])
def test_a_bare_protocol_is_no_part(use: Any) -> None:
    with pytest.raises(TypeError, match=r"Protocol\(client=.*, server=.*\) is not a framing"):
        use(fw.protocols.AMQP)


def test_sockets_want_a_direction() -> None:
    with pytest.raises(
        TypeError, match=r"a client receives \.server and sends \.client, a server the reverse"
    ):
        fw.connect("tcp://127.0.0.1:9", fw.protocols.AMQP)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the directions of a Protocol differ"):
        fw.listen("tcp://127.0.0.1:0", fw.Lines(), fw.protocols.AMQP)  # type: ignore[arg-type]


# --- names of other packages ----------------------------------------------------------------------------


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "acmewire.py").write_text(
        "import framewire as fw\n"
        "PLAIN = fw.LengthPrefixed(fw.u16le)\n"
        "SIDED = fw.Protocol(client=fw.Lines(), server=PLAIN)\n"
        "OTHER = 'u16le'\n"
    )
    info = tmp_path / "acmewire-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acmewire\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[framewire.framings]\nacme = acmewire:PLAIN\nacme-sided = acmewire:SIDED\n"
        "acme-other = acmewire:OTHER\nacme-gone = acmewire:GONE\ndns = acmewire:PLAIN\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("acmewire", None)


def test_other_packages_names(others: None) -> None:
    assert framing("acme") == LengthPrefixed(fw.u16le)
    assert framing("acme,max_frame=9") == LengthPrefixed(fw.u16le, max_frame=9)
    assert framing("acme-sided.client") == fw.Lines()
    assert framing("acme-sided.server") == LengthPrefixed(fw.u16le)
    assert framing("dns") == LengthPrefixed(fw.u16), "nobody takes over a name of ours"
    for text, message in (
        ("acme-sided", "the directions of acme-sided differ"),
        ("acme.client", "acme is the same in both directions"),
        ("acme-sidde", "did you mean acme-sided"),
        ("acme-other", "the entry point acmewire:OTHER is no framing: 'u16le'"),
        ("acme-gone", "the entry point acmewire:GONE fails: AttributeError"),
    ):
        with pytest.raises(DeclarationError, match=message):
            framing(text)


def test_a_known_name_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> dict[str, Any]:
        raise AssertionError("entry points were looked up")

    monkeypatch.setattr(names, "others", asked)
    assert framing("dns") == LengthPrefixed(fw.u16)
    assert framing("lines") == fw.Lines()
    with pytest.raises(AssertionError, match="looked up"):
        framing("dsn")
