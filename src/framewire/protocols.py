"""Real protocols as declarations, and every framing by its name.

`DNS`, `POSTGRESQL`, `MQTT` and the others are made when they are first used: the table below holds how, and
what is known of each. A preset is a framing, or a `Protocol` where the two directions differ. It cuts and
writes frames and knows nothing of what they mean; a limit of the specification above 1 MiB is told, not set:
`KAFKA.replace(max_frame=100 << 20)`. `framing(text)` reads the text form, these names included, and those
that other packages give in the entry-point group `framewire.framings`.

>>> from framewire.protocols import DNS, POSTGRESQL
>>> DNS
LengthPrefixed(u16)
>>> POSTGRESQL.server.decoder().decode(b"Z\\0\\0\\0\\x05I")
[b'Z\\x00\\x00\\x00\\x05I']
"""

from __future__ import annotations

from ._framing import Framing
from ._grammar import nearest, parse
from ._preset import Preset, Protocol, load_other, others
from .enclosed import Enclosed
from .fields import (
    ber,
    digits,
    hexdigits,
    i32,
    i32le,
    i64,
    leb128,
    quicvarint,
    tiered,
    u8,
    u16,
    u16le,
    u24,
    u24le,
    u32,
    u32le,
    u64,
    varint,
)
from .framings import Custom, Delimited, FixedLength, LengthPrefixed, Lines, Netstring, Preamble, Tagged
from .stuffed import COBS as _COBS
from .stuffed import HDLC
from .stuffed import SLIP as _SLIP
from .talk import FIX as _FIX
from .talk import RESP, LineCounted
from .text import Chunked, HeaderBlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._grammar import _Part

__all__ = ["Protocol", "framing"]


def _amqp() -> Protocol:
    frames = LengthPrefixed(u32, offset=3, trailer=b"\xce")
    return Protocol(client=Preamble(FixedLength(8), frames), server=frames)


def _beanstalkd() -> Protocol:
    answers = {b"RESERVED": 2, b"FOUND": 2, b"OK": 1}
    return Protocol(client=LineCounted({b"put": 4}), server=LineCounted(answers))


def _giop() -> Framing:
    big, little = (LengthPrefixed(size, offset=8, magic=b"GIOP") for size in (u32, u32le))
    return Tagged({0: big, 1: little}, offset=6, mask=0x01)


def _gdb() -> Framing:
    packets, notifications = (
        Enclosed(start, b"#", escape=b"}", escape_xor=0x20, noise="error", trailer=2)
        for start in (b"$", b"%")
    )
    return Tagged({b"+-\x03": FixedLength(1), ord("$"): packets, ord("%"): notifications})


def _http2() -> Protocol:
    frames = LengthPrefixed(u24, header=9, max_frame=16384)
    return Protocol(client=Preamble(FixedLength(24), frames), server=frames)


def _memcached() -> Protocol:
    storage = dict.fromkeys((b"set", b"add", b"replace", b"append", b"prepend", b"cas"), 4)
    return Protocol(client=LineCounted({**storage, b"ms": 2}), server=LineCounted({b"VALUE": 3, b"VA": 1}))


def _postgresql() -> Protocol:
    typed = LengthPrefixed(u32, offset=1, counts="field")
    return Protocol(
        client=Tagged({0: LengthPrefixed(u32, counts="field", header=8)}, default=typed), server=typed
    )


def _tarantool() -> Protocol:
    packets = LengthPrefixed(tiered(u8, {0xCC: u8, 0xCD: u16, 0xCE: u32, 0xCF: u64}, direct=0x7F))
    return Protocol(client=packets, server=Preamble(FixedLength(128), packets))


def _x11(order: str) -> Protocol:
    word, double = (u16, u32) if order == "big" else (u16le, u32le)
    split = _x11_setup_big if order == "big" else _x11_setup_little
    requests = LengthPrefixed(word, offset=2, counts="frame", scale=4, escape=(0, double))
    longer = LengthPrefixed(double, offset=4, header=32, scale=4)
    # Replies and generic events grow by a later field, all else has 32 bytes; the top bit marks a sent event.
    answers = Tagged({b"\x01\x23\xa3": longer}, default=FixedLength(32))
    return Protocol(
        client=Preamble(Custom(split, bytes), requests),
        server=Preamble(LengthPrefixed(word, offset=6, scale=4), answers),
    )


def _x11_setup(view: memoryview, order: str) -> int | tuple[int, int, int]:
    """The client's first bytes: two lengths in the middle, each padded to four bytes."""
    if len(view) < 12:
        return 12 - len(view)
    name, data = (int.from_bytes(view[at : at + 2], order) for at in (6, 8))  # type: ignore[arg-type]
    end = 12 + (name + 3 & ~3) + (data + 3 & ~3)
    return (0, end, end) if len(view) >= end else end - len(view)


def _x11_setup_big(view: memoryview, scanned: int, eof: bool) -> int | tuple[int, int, int]:
    return _x11_setup(view, "big")


def _x11_setup_little(view: memoryview, scanned: int, eof: bool) -> int | tuple[int, int, int]:
    return _x11_setup(view, "little")


PRESETS = {
    row.name: row
    for row in (
        Preset(
            "9p",
            lambda: LengthPrefixed(u32le, counts="frame", header=7),
            "Plan 9 file service: size, type, tag; the size counts itself; msize is negotiated",
            "Plan 9 manual, intro(5)",
        ),
        Preset(
            "adb",
            lambda: LengthPrefixed(hexdigits(4)),
            "Android debug bridge, client to adb server: four hex digits",
            "Android platform, adb/OVERVIEW.TXT",
        ),
        Preset(
            "adb-device",
            lambda: LengthPrefixed(u32le, offset=12, header=24),
            "Android debug bridge, host to device: a header of six little-endian words",
            "Android platform, adb/protocol.txt",
        ),
        Preset(
            "amqp",
            _amqp,
            "AMQP 0-9-1: type, channel, size, payload, end octet CE; the client opens with 8 bytes",
            "AMQP 0-9-1 sections 4.2.2 and 4.2.3",
        ),
        Preset(
            "amqp1",
            lambda: Tagged({ord("A"): FixedLength(8)}, default=LengthPrefixed(u32, counts="frame", header=8)),
            "AMQP 1.0: frames, and the 8-byte protocol headers among them (SASL, TLS, AMQP)",
            "OASIS AMQP 1.0 part 2 sections 2.2 and 2.3.1",
        ),
        Preset(
            "beanstalkd",
            _beanstalkd,
            "beanstalkd: lines; put, and the answers that carry a job or text, announce a body",
            "beanstalkd doc/protocol.txt",
        ),
        Preset(
            "bgp",
            lambda: LengthPrefixed(
                u16, offset=16, counts="frame", header=19, magic=b"\xff" * 16, max_frame=4077
            ),
            "Border gateway protocol: 16 bytes FF, a length of the whole message, 19 to 4096",
            "RFC 4271 section 4.1",
        ),
        Preset(
            "bitcoin",
            lambda: LengthPrefixed(
                u32le,
                offset=16,
                header=24,
                magic=(
                    (0, (b"\xf9\xbe\xb4\xd9", b"\x0b\x11\x09\x07", b"\x0a\x03\xcf\x40", b"\xfa\xbf\xb5\xda")),
                ),
            ),
            "Bitcoin peers: network magic (main, testnet3, signet, regtest), command, length, checksum",
            "Bitcoin developer reference, Message Headers",
            limit=4_000_000,
        ),
        Preset(
            "bittorrent",
            lambda: Preamble(FixedLength(68), LengthPrefixed(u32)),
            "BitTorrent peers: a handshake of 68 bytes, then messages; an empty one keeps alive",
            "BEP 3, peer protocol",
        ),
        Preset(
            "cassandra",
            lambda: LengthPrefixed(u32, offset=5),
            "Cassandra native protocol v3 and v4: a 9-byte header",
            "Cassandra native_protocol_v4.spec section 2.5",
            limit=256 << 20,
        ),
        Preset(
            "cassandra5",
            lambda: LengthPrefixed(u24le, mask=0x01FFFF, header=6, trailer=4),
            "Cassandra native protocol v5 frames, after STARTUP: 17-bit length, CRC24, CRC32 behind",
            "Cassandra native_protocol_v5.spec section 2.1",
        ),
        Preset(
            "coap",
            lambda: LengthPrefixed(
                tiered(u8, {13: (u8, 13), 14: (u16, 269), 15: (u32, 65805)}, mask=0xF0),
                header=2,
                extra=((0, u8, 0x0F),),
            ),
            "CoAP over TCP: a nibble is the length of options and payload, another that of the token",
            "RFC 8323 section 3.2",
        ),
        Preset(
            "cobs",
            lambda: _COBS(),
            "Consistent overhead byte stuffing on serial links, 00 ends a frame",
            "Cheshire and Baker, IEEE/ACM ToN 7(2), 1999",
        ),
        Preset(
            "dap",
            lambda: HeaderBlock(),
            "Debug adapters: header fields, an empty line, JSON of Content-Length bytes",
            "Debug Adapter Protocol, Base protocol",
        ),
        Preset(
            "diameter",
            lambda: LengthPrefixed(u24, offset=1, counts="frame", header=20, magic=b"\x01"),
            "Diameter: version 1, a length of the whole message, 20 bytes of header",
            "RFC 6733 section 3",
            limit=(1 << 24) - 1 - 20,
        ),
        Preset(
            "dicom",
            lambda: LengthPrefixed(u32, offset=2),
            "DICOM upper layer PDUs: type, reserved, length",
            "DICOM PS3.8 section 9.3.1",
        ),
        Preset(
            "dns",
            lambda: LengthPrefixed(u16),
            "DNS over TCP and TLS; many messages share a connection",
            "RFC 1035 section 4.2.2; RFC 7766 section 8",
        ),
        Preset(
            "epp",
            lambda: LengthPrefixed(u32, counts="frame"),
            "Extensible provisioning protocol: a length that counts itself, then XML",
            "RFC 5734 section 4",
        ),
        Preset(
            "erlang-1",
            lambda: LengthPrefixed(u8),
            "Erlang ports and gen_tcp, {packet, 1}",
            "Erlang/OTP inet:setopts/2, packet",
        ),
        Preset(
            "erlang-2",
            lambda: LengthPrefixed(u16),
            "Erlang {packet, 2}; the distribution handshake",
            "Erlang/OTP inet:setopts/2, packet",
        ),
        Preset(
            "erlang-4",
            lambda: LengthPrefixed(u32),
            "Erlang {packet, 4}; the distribution protocol once connected",
            "Erlang/OTP inet:setopts/2, packet",
        ),
        Preset(
            "fastcgi",
            lambda: LengthPrefixed(u16, offset=4, header=8, magic=b"\x01", extra=((6, u8),)),
            "FastCGI records: content and padding have their own lengths",
            "FastCGI 1.0 section 3.3",
        ),
        Preset(
            "fix",
            lambda: _FIX(),
            "FIX messages, whole: BodyLength says where, CheckSum is verified and written",
            "FIX TagValue Encoding, Message Structure",
        ),
        Preset(
            "gdb",
            _gdb,
            "GDB remote serial protocol: $ and % packets with two digits of checksum; bare +, -, 03",
            "Debugging with GDB, appendix Remote Serial Protocol, Overview",
        ),
        Preset(
            "giop",
            _giop,
            "CORBA GIOP, on TCP IIOP: a flag in the header chooses the byte order of the length",
            "CORBA 3.0 section 15.4.1",
        ),
        Preset(
            "git",
            lambda: LengthPrefixed(hexdigits(4), counts="frame", control=(0, 1, 2, 3), max_frame=65516),
            "Git pkt-lines: four hex digits that count themselves; 0000 to 0003 stand alone",
            "gitprotocol-common, pkt-line Format; gitprotocol-v2",
        ),
        Preset(
            "grpc",
            lambda: LengthPrefixed(u32, offset=1),
            "gRPC messages in an HTTP/2 stream: compressed flag, length",
            "gRPC over HTTP2, Length-Prefixed-Message",
            limit=4 << 20,
        ),
        Preset(
            "hsms",
            lambda: LengthPrefixed(u32),
            "SECS/GEM over TCP: the length counts a 10-byte header and the text",
            "SEMI E37",
        ),
        Preset(
            "http-chunked",
            lambda: Chunked("http"),
            "A body of HTTP/1.1 in chunks, joined; trailer fields are dropped",
            "RFC 9112 section 7.1",
        ),
        Preset(
            "http2",
            _http2,
            "HTTP/2 frames; the client opens with 24 bytes; larger frames only by SETTINGS",
            "RFC 9113 sections 3.4 and 4.1",
        ),
        Preset(
            "http3",
            lambda: LengthPrefixed(quicvarint, offset=quicvarint),
            "HTTP/3 frames on a QUIC stream: type and length are QUIC varints",
            "RFC 9114 section 7.1; RFC 9000 section 16",
        ),
        Preset(
            "iec104",
            lambda: LengthPrefixed(u8, offset=1, magic=b"\x68", max_frame=253),
            "IEC 60870-5-104 telecontrol: start byte 68, length up to 253",
            "IEC 60870-5-104 section 5",
        ),
        Preset(
            "iso8583",
            lambda: LengthPrefixed(u16),
            "Card payments: 2 bytes that count the message (TPDU included, where there is one)",
            "usual practice; ISO 8583 leaves it open",
        ),
        Preset(
            "iso8583-ascii",
            lambda: LengthPrefixed(digits(4)),
            "Card payments: four decimal digits that count the message",
            "usual practice; ISO 8583 leaves it open",
        ),
        Preset(
            "iso8583-inclusive",
            lambda: LengthPrefixed(u16, counts="frame"),
            "Card payments: 2 bytes that count themselves too",
            "usual practice; ISO 8583 leaves it open",
        ),
        Preset(
            "itch",
            lambda: LengthPrefixed(u16),
            "ITCH and OUCH message files: a 2-byte length before each message",
            "Nasdaq BinaryFILE",
        ),
        Preset(
            "jdwp",
            lambda: Preamble(FixedLength(14), LengthPrefixed(u32, counts="frame", header=11)),
            "Java debug wire protocol: a handshake of 14 bytes each way, then packets",
            "Java Platform, JDWP specification",
        ),
        Preset(
            "json-seq",
            lambda: Enclosed(b"\x1e", b"\n", restart=True),
            "JSON text sequences, of texts without line breaks: RS, text, LF",
            "RFC 7464 section 2",
        ),
        Preset(
            "kafka",
            lambda: LengthPrefixed(i32),
            "Kafka requests and responses; brokers take 100 MiB by default",
            "Kafka protocol guide, Common Request and Response Structure",
            limit=100 << 20,
        ),
        Preset(
            "kerberos",
            lambda: LengthPrefixed(u32, mask=0x7FFFFFFF, strip=True),
            "Kerberos over TCP: 31-bit length, the top bit is reserved",
            "RFC 4120 section 7.2.2; RFC 5021",
        ),
        Preset(
            "ldap",
            lambda: LengthPrefixed(ber, offset=1, magic=b"\x30", strip=False),
            "LDAP messages: BER sequences of definite length",
            "RFC 4511 section 5.1",
        ),
        Preset(
            "lsp",
            lambda: HeaderBlock(),
            "Language servers: header fields, an empty line, JSON of Content-Length bytes",
            "Language Server Protocol 3.17, Base Protocol",
        ),
        Preset(
            "memcached",
            _memcached,
            "memcached text protocol: lines; storage commands and values announce a body",
            "memcached doc/protocol.txt",
        ),
        Preset(
            "memcached-binary",
            lambda: LengthPrefixed(u32, offset=8, header=24, magic=((0, (b"\x80", b"\x81")),)),
            "memcached binary protocol: 24-byte header, 80 asks and 81 answers",
            "memcached wiki, BinaryProtocolRevamped",
        ),
        Preset(
            "minecraft",
            lambda: LengthPrefixed(leb128(max_bytes=3)),
            "Minecraft Java Edition packets: a varint of up to 3 bytes",
            "Minecraft Wiki, Java Edition protocol, Packet format",
            limit=(1 << 21) - 1,
        ),
        Preset(
            "mllp",
            lambda: Enclosed(b"\x0b", b"\x1c\r"),
            "HL7 version 2 messages on TCP: VT, message, FS CR",
            "HL7 Minimal Lower Layer Protocol, Transport Specification, release 1",
        ),
        Preset(
            "modbus",
            lambda: LengthPrefixed(u16, offset=4, magic=((2, b"\0\0"),), max_frame=254),
            "Modbus/TCP: transaction, protocol 0, a length of unit and PDU",
            "MODBUS Messaging on TCP/IP V1.0b section 3.1.3",
        ),
        Preset(
            "mongodb",
            lambda: LengthPrefixed(i32le, counts="frame", header=16),
            "MongoDB messages: little-endian length of the whole, 16 bytes of header",
            "MongoDB Wire Protocol, Standard Message Header",
            limit=48_000_000 - 16,
        ),
        Preset(
            "mqtt",
            lambda: LengthPrefixed(leb128(max_bytes=4), offset=1),
            "MQTT 3.1.1 and 5 control packets: type and flags, remaining length",
            "OASIS MQTT 5.0 section 2.1.4; 3.1.1 section 2.2.3",
            limit=(1 << 28) - 1,
        ),
        Preset(
            "multiprocessing",
            lambda: LengthPrefixed(i32, escape=(-1, u64)),
            "Python's multiprocessing.connection: -1 says that 8 bytes of length follow",
            "CPython, Lib/multiprocessing/connection.py",
        ),
        Preset(
            "mysql",
            lambda: LengthPrefixed(u24le, header=4, fragments=("full", 0xFFFFFF, 3)),
            "MySQL and MariaDB packets, joined where the next one continues; header: length, sequence",
            "MySQL Internals, MySQL Packets; max_allowed_packet",
            limit=1 << 30,
        ),
        Preset(
            "nats",
            lambda: LineCounted({b"PUB": -1, b"HPUB": -1, b"MSG": -1, b"HMSG": -1}, ignore_case=True),
            "NATS: lines; PUB, HPUB, MSG and HMSG announce a body; max_payload is 1 MiB by default",
            "NATS documentation, Client Protocol",
        ),
        Preset(
            "ndjson",
            lambda: Lines(),
            "JSON values, one a line (NDJSON, JSON Lines)",
            "ndjson-spec 1.0",
        ),
        Preset(
            "netbios",
            lambda: LengthPrefixed(u24, offset=1, mask=0x01FFFF),
            "NetBIOS session service: type, 7 reserved bits, 17-bit length",
            "RFC 1002 section 4.3.1",
        ),
        Preset(
            "netconf",
            lambda: Delimited(b"]]>]]>"),
            "NETCONF 1.0 over SSH: an XML document, then ]]>]]>",
            "RFC 6242 section 4.3",
        ),
        Preset(
            "netconf11",
            lambda: Preamble(Delimited(b"]]>]]>"), Chunked("netconf")),
            "NETCONF 1.1 over SSH: the hello ends with ]]>]]>, then messages come in chunks",
            "RFC 6242 sections 4.1 and 4.2",
        ),
        Preset(
            "netstring",
            lambda: Netstring(),
            "5:hello, as in SCGI headers and qmail",
            "D. J. Bernstein, Netstrings, 1997",
        ),
        Preset(
            "opcua",
            lambda: LengthPrefixed(u32le, offset=4, counts="frame", header=8),
            "OPC UA TCP: three letters, chunk type, a length of the whole",
            "OPC 10000-6 section 7.1.2.2",
        ),
        Preset(
            "openflow",
            lambda: LengthPrefixed(u16, offset=2, counts="frame", header=8),
            "OpenFlow: version, type, a length of the whole, transaction",
            "OpenFlow Switch Specification 1.3.4 section 7.1",
        ),
        Preset(
            "postgresql",
            _postgresql,
            "PostgreSQL v3: the client's first messages have no type byte; SSLRequest's answer is one byte",
            "PostgreSQL documentation, Message Formats",
            limit=(1 << 30) - 2,
        ),
        Preset(
            "ppp",
            lambda: HDLC(fcs=16, max_frame=1504),
            "PPP on serial lines, address to information; written for a control character map of 0",
            "RFC 1662; RFC 1661 section 6.1",
        ),
        Preset(
            "protobuf",
            lambda: LengthPrefixed(varint),
            "A stream of protobuf messages, as writeDelimitedTo writes it",
            "Protocol Buffers, Techniques: Streaming Multiple Messages",
            limit=(1 << 31) - 1,
        ),
        Preset(
            "radius",
            lambda: LengthPrefixed(u16, offset=2, counts="frame", header=20, max_frame=4076),
            "RADIUS over TCP and TLS: code, identifier, a length of the whole, 20 to 4096",
            "RFC 6613 section 2.6; RFC 2865 section 3",
        ),
        Preset(
            "redis",
            lambda: RESP(),
            "Redis RESP2 and RESP3: whole requests, replies and pushes; bulk strings go up to 512 MiB",
            "Redis documentation, Redis serialization protocol specification",
            limit=512 << 20,
        ),
        Preset(
            "rsocket",
            lambda: LengthPrefixed(u24),
            "RSocket frames on TCP",
            "RSocket protocol, Framing Protocol Usage",
            limit=(1 << 24) - 1,
        ),
        Preset(
            "rtp",
            lambda: LengthPrefixed(u16),
            "RTP and RTCP packets over TCP",
            "RFC 4571 section 2",
        ),
        Preset(
            "rtsp",
            lambda: Tagged(
                {ord("$"): LengthPrefixed(u16, offset=2)},
                default=HeaderBlock(start_line=True, missing="empty"),
            ),
            "RTSP with interleaved RTP: $, channel and length, or a request or answer",
            "RFC 2326 section 10.12; RFC 7826 section 14",
        ),
        Preset(
            "sip",
            lambda: HeaderBlock(start_line=True),
            "SIP over TCP and TLS: start line, header, a body of Content-Length bytes",
            "RFC 3261 section 18.3",
        ),
        Preset(
            "slip",
            lambda: _SLIP(),
            "SLIP on serial links: C0 ends a packet",
            "RFC 1055",
        ),
        Preset(
            "smb",
            lambda: LengthPrefixed(u24, offset=1, magic=b"\0"),
            "SMB2 and SMB3 over TCP port 445: a zero byte, 3 bytes of length",
            "MS-SMB2 section 2.1",
            limit=(1 << 24) - 1,
        ),
        Preset(
            "smpp",
            lambda: LengthPrefixed(u32, counts="frame", header=16),
            "SMPP PDUs: a length of the whole, 16 bytes of header",
            "SMPP 3.4 section 3.2",
        ),
        Preset(
            "smtp",
            lambda: Delimited(b"\r\n", max_frame=998),
            "SMTP commands and replies: lines that end with CRLF, never with a lone LF",
            "RFC 5321 sections 2.3.8 and 4.5.3.1.6",
        ),
        Preset(
            "smtp-data",
            lambda: Delimited(b"\r\n.\r\n", dot_stuffed=True),
            "SMTP and POP3 message text: dot-stuffed lines, then a line of one dot",
            "RFC 5321 section 4.5.2; RFC 1939 section 3",
        ),
        Preset(
            "snmp",
            lambda: LengthPrefixed(ber, offset=1, magic=b"\x30", strip=False),
            "SNMP over TCP: BER sequences of definite length",
            "RFC 3430 section 2.1",
        ),
        Preset(
            "soupbintcp",
            lambda: LengthPrefixed(u16),
            "Nasdaq SoupBinTCP: the length counts a type byte and the payload",
            "Nasdaq SoupBinTCP 4.00 section 2",
        ),
        Preset(
            "sse",
            lambda: Delimited(b"\n\n", b"\r\n\r\n", b"\r\r"),
            "Server-sent events: a blank line ends an event",
            "WHATWG HTML section 9.2.5",
        ),
        Preset(
            "ssh",
            lambda: Preamble(Delimited(b"\r\n", b"\n", max_frame=253), LengthPrefixed(u32, max_frame=34996)),
            "SSH until keys are taken into use: the version line, then binary packets",
            "RFC 4253 sections 4.2, 6 and 6.1",
        ),
        Preset(
            "ssh-agent",
            lambda: LengthPrefixed(u32, max_frame=256 << 10),
            "SSH agent requests and answers; OpenSSH takes 256 KiB",
            "draft-miller-ssh-agent section 3",
        ),
        Preset(
            "stomp",
            lambda: HeaderBlock("content-length", start_line=True, bare_lf=True, missing="nul"),
            "STOMP frames: a command, header, a body up to NUL; line ends between frames are heartbeats",
            "STOMP 1.2, STOMP Frames and Heart-beating",
        ),
        Preset(
            "sunrpc",
            lambda: LengthPrefixed(u32, fragments="top_bit"),
            "ONC RPC over TCP (NFS): record marking, the top bit is on the last fragment",
            "RFC 5531 section 11",
        ),
        Preset(
            "syslog",
            lambda: LengthPrefixed(digits(end=b" ")),
            "Syslog over TCP and TLS, octet counting",
            "RFC 6587 section 3.4.1; RFC 5425 section 4.3",
        ),
        Preset(
            "syslog-any",
            lambda: Tagged(
                {b"123456789": LengthPrefixed(digits(end=b" "), strip=True)},
                default=Delimited(b"\n", strip=True),
            ),
            "Syslog for a receiver: a digit begins a counted message, anything else a line",
            "RFC 6587 section 3.4",
        ),
        Preset(
            "syslog-lf",
            lambda: Delimited(b"\n"),
            "Syslog over TCP, each message ended by LF",
            "RFC 6587 section 3.4.2",
        ),
        Preset(
            "tacacs",
            lambda: LengthPrefixed(u32, offset=8),
            "TACACS+: a 12-byte header whose last word is the length",
            "RFC 8907 section 4.1",
        ),
        Preset(
            "tarantool",
            _tarantool,
            "Tarantool binary protocol: a MessagePack length; the server opens with 128 bytes",
            "Tarantool documentation, IPROTO request and response format",
        ),
        Preset(
            "tds",
            lambda: LengthPrefixed(u16, offset=2, counts="frame", header=8, max_frame=32767 - 8),
            "SQL Server packets; a status bit marks the last one of a message",
            "MS-TDS section 2.2.3.1",
        ),
        Preset(
            "thrift",
            lambda: LengthPrefixed(i32),
            "Thrift framed transport",
            "Apache Thrift, Thrift Remote Procedure Call: Framed vs. unframed transport",
            limit=16_384_000,
        ),
        Preset(
            "tls",
            lambda: LengthPrefixed(u16, offset=3, max_frame=(1 << 14) + 2048),
            "TLS records, encrypted or not: type, version, length",
            "RFC 8446 section 5.1; RFC 5246 section 6.2.3",
        ),
        Preset(
            "tns",
            lambda: LengthPrefixed(u16, counts="frame", header=8),
            "Oracle Net packets before 12c, and the CONNECT of later ones",
            "python-oracledb, thin mode (there is no public specification)",
        ),
        Preset(
            "tns12",
            lambda: LengthPrefixed(u32, counts="frame", header=8),
            "Oracle Net packets of 12c and later, once connected",
            "python-oracledb, thin mode (there is no public specification)",
        ),
        Preset(
            "tpkt",
            lambda: LengthPrefixed(u16, offset=2, counts="frame", header=4, magic=b"\x03"),
            "ISO transport over TCP (S7, RDP, H.323): version 3, a length of the whole",
            "RFC 1006 section 6",
        ),
        Preset(
            "uwsgi",
            lambda: LengthPrefixed(u16le, offset=1, header=4),
            "uwsgi packets: modifier, little-endian size of the variables, modifier; a body follows bare",
            "uWSGI documentation, The uwsgi Protocol",
        ),
        Preset(
            "wamp",
            lambda: Preamble(FixedLength(4), LengthPrefixed(u24, offset=1)),
            "WAMP RawSocket: a handshake of 4 bytes each way, then type and length",
            "WAMP specification, RawSocket Transport",
            limit=(1 << 24) - 1,
        ),
        Preset(
            "websocket",
            lambda: LengthPrefixed(
                tiered(u8, {126: u16, 127: i64}, mask=0x7F, follow=(0x80, 4), canonical=True), offset=1
            ),
            "WebSocket frames, after the upgrade; payloads stay masked",
            "RFC 6455 section 5.2",
        ),
        Preset(
            "x11",
            lambda: _x11("big"),
            "X11 in big-endian order: set-up, then requests one way and answers the other",
            "X Window System Protocol sections 1 and 8; BIG-REQUESTS 2.0",
        ),
        Preset(
            "x11-le",
            lambda: _x11("little"),
            "X11 in little-endian order, as nearly all clients speak it",
            "X Window System Protocol sections 1 and 8; BIG-REQUESTS 2.0",
        ),
        Preset(
            "zmtp",
            lambda: Preamble(
                FixedLength(64),
                Tagged({0: LengthPrefixed(u8, offset=1), 2: LengthPrefixed(u64, offset=1)}, mask=0x02),
            ),
            "ZeroMQ 3.x: a greeting of 64 bytes each way, then frames of short or long length",
            "ZMTP 3.1 (RFC 37/ZMTP), Greeting and Framing",
        ),
    )
}
_CONSTANTS = {row.constant: row for row in PRESETS.values()}


if TYPE_CHECKING:
    ADB: Framing
    ADB_DEVICE: Framing
    AMQP: Protocol
    AMQP1: Framing
    BEANSTALKD: Protocol
    BGP: Framing
    BITCOIN: Framing
    BITTORRENT: Framing
    CASSANDRA: Framing
    CASSANDRA5: Framing
    COAP: Framing
    COBS: Framing
    DAP: Framing
    DIAMETER: Framing
    DICOM: Framing
    DNS: Framing
    EPP: Framing
    ERLANG_1: Framing
    ERLANG_2: Framing
    ERLANG_4: Framing
    FASTCGI: Framing
    FIX: Framing
    GDB: Framing
    GIOP: Framing
    GIT: Framing
    GRPC: Framing
    HSMS: Framing
    HTTP2: Protocol
    HTTP3: Framing
    HTTP_CHUNKED: Framing
    IEC104: Framing
    ISO8583: Framing
    ISO8583_ASCII: Framing
    ISO8583_INCLUSIVE: Framing
    ITCH: Framing
    JDWP: Framing
    JSON_SEQ: Framing
    KAFKA: Framing
    KERBEROS: Framing
    LDAP: Framing
    LSP: Framing
    MEMCACHED: Protocol
    MEMCACHED_BINARY: Framing
    MINECRAFT: Framing
    MLLP: Framing
    MODBUS: Framing
    MONGODB: Framing
    MQTT: Framing
    MULTIPROCESSING: Framing
    MYSQL: Framing
    NATS: Framing
    NDJSON: Framing
    NETBIOS: Framing
    NETCONF: Framing
    NETCONF11: Framing
    NETSTRING: Framing
    NINE_P: Framing
    OPCUA: Framing
    OPENFLOW: Framing
    POSTGRESQL: Protocol
    PPP: Framing
    PROTOBUF: Framing
    RADIUS: Framing
    REDIS: Framing
    RSOCKET: Framing
    RTP: Framing
    RTSP: Framing
    SIP: Framing
    SLIP: Framing
    SMB: Framing
    SMPP: Framing
    SMTP: Framing
    SMTP_DATA: Framing
    SNMP: Framing
    SOUPBINTCP: Framing
    SSE: Framing
    SSH: Framing
    SSH_AGENT: Framing
    STOMP: Framing
    SUNRPC: Framing
    SYSLOG: Framing
    SYSLOG_ANY: Framing
    SYSLOG_LF: Framing
    TACACS: Framing
    TARANTOOL: Protocol
    TDS: Framing
    THRIFT: Framing
    TLS: Framing
    TNS: Framing
    TNS12: Framing
    TPKT: Framing
    UWSGI: Framing
    WAMP: Framing
    WEBSOCKET: Framing
    X11: Protocol
    X11_LE: Protocol
    ZMTP: Framing
else:

    def __getattr__(name: str) -> Any:
        row = _CONSTANTS.get(name)
        if row is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, row.made)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_CONSTANTS})


def _lookup(name: _Part, known: list[str]) -> Framing:
    base, dot, side = name.text.partition(".")
    if base in PRESETS:
        made = PRESETS[base].made
    elif point := (points := others()).get(base):
        made = load_other(base, point)
    else:
        more = [one for row in PRESETS.values() for one in row.sides]
        hint = nearest(name.text, known, [*more, *points])
        shown = "" if hint.startswith(": did") else "; and the protocols that `framewire list` shows"
        raise name.error(f"unknown name {name.text!r}{hint}{shown}")
    if isinstance(made, Protocol):
        if side in ("client", "server"):
            return made.client if side == "client" else made.server
        raise name.error(
            f"the directions of {base} differ: {base}.client is what a client sends, "
            f"{base}.server what a server sends"
        )
    if dot:
        raise name.error(f"{base} is the same in both directions: write {base}")
    return made


def framing(text: str) -> Framing:
    """The framing that `text` names; DeclarationError with the column and, for a misspelling, a suggestion.

    >>> framing("u32le,max_frame=65536")
    LengthPrefixed(u32le, max_frame=65536)
    >>> framing("mqtt")
    LengthPrefixed(leb128(max_bytes=4), offset=1)
    >>> framing("delimited:\\\\r\\\\n")
    Delimited(b'\\r\\n')
    >>> framing("linse")
    Traceback (most recent call last):
    framewire.errors.DeclarationError: framing 'linse', column 1: unknown name 'linse': did you mean lines?
    """
    return parse(text, _lookup)
