"""Recorded streams of real software and the framings that cut them: what `framewire demo` proves.

A folder of captures holds NAME.c2s.bin or NAME.s2c.bin, one direction of one connection, and beside it a
.json with the frames as somebody else's software sees them (tests/captures/README.md). `FRAMINGS` says how
each is declared here. `Capture.check` cuts a stream, in pieces of any size, on either backend, and names the
first difference: frames and their hashes, the end of the stream, and the bytes that encoding gives back.
"""

from __future__ import annotations

import json
import random
from hashlib import sha256
from itertools import repeat
from pathlib import Path

from .. import protocols
from ..fields import NAMED
from ..framings import Delimited, FixedLength, LengthPrefixed, Preamble, Tagged
from ..stuffed import COBS, HDLC, SLIP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .. import _backend
    from .._backend import Backend
    from ..framings import Framing

__all__ = ["FRAMINGS", "WAYS", "Capture", "load"]

WAYS = ("whole", "recorded chunks", "byte by byte", "random cuts")

_u8, _u16, _u32, _i32 = (NAMED[name] for name in ("u8", "u16", "u32", "i32"))

# By the longest prefix of a stream's name: its protocol and its framing, by name where it has one.
FRAMINGS: dict[str, tuple[str, Framing]] = {
    "adb": ("adb", protocols.ADB),
    "amqp_0.c2s": ("AMQP 0-9-1", protocols.AMQP.client),
    "amqp_0.s2c": ("AMQP 0-9-1", protocols.AMQP.server),
    "dns": ("DNS", protocols.DNS),
    "erlang_p1": ("Erlang {packet,1}", protocols.ERLANG_1),
    "erlang_p2": ("Erlang {packet,2}", protocols.ERLANG_2),
    "git": ("git", protocols.GIT),
    "java_int": ("Java writeInt", LengthPrefixed(_i32)),
    "java_utf": ("Java writeUTF", LengthPrefixed(_u16)),
    "kafka": ("Kafka", protocols.KAFKA),
    "ldap": ("LDAP", protocols.LDAP),
    "lsp": ("LSP", protocols.LSP.replace(strip=False)),
    "memcached_text_0.c2s": ("memcached text", protocols.MEMCACHED.client),
    "memcached_text_0.s2c": ("memcached text", protocols.MEMCACHED.server),
    "memcached_bin": ("memcached binary", protocols.MEMCACHED_BINARY),
    "mllp": ("MLLP", protocols.MLLP),
    "modbus": ("Modbus/TCP", protocols.MODBUS),
    "mongo": ("MongoDB", protocols.MONGODB),
    "mpconn": ("multiprocessing", protocols.MULTIPROCESSING),
    "mqtt": ("MQTT", protocols.MQTT),
    "mysql": ("MySQL", protocols.MYSQL),
    "nats": ("NATS", protocols.NATS),
    "pg_asyncpg_0.s2c": ("PostgreSQL", protocols.POSTGRESQL.server),
    "pg_psql_0.s2c": ("PostgreSQL", Preamble(FixedLength(1), protocols.POSTGRESQL.server)),
    "pg": ("PostgreSQL", protocols.POSTGRESQL.client),
    "proxy_v1": ("PROXY v1, u32", Preamble(Delimited(b"\r\n"), LengthPrefixed(_u32))),
    "py_sockethandler": ("SocketHandler", LengthPrefixed(_u32)),
    "smtp": ("SMTP", protocols.SMTP),
    "snmp": ("SNMP", protocols.SNMP),
    "redis": ("Redis", protocols.REDIS),
    "serial_cobs": ("COBS", protocols.COBS),
    "serial_slip": ("SLIP", protocols.SLIP),
    "sshagent": ("ssh-agent", protocols.SSH_AGENT),
    "syslog_logger_lf": ("syslog, LF", protocols.SYSLOG_LF),
    "syslog_logger_octet": ("syslog, counted", protocols.SYSLOG),
    "syslog_ng_octet": ("syslog, counted", protocols.SYSLOG),
    "syslog_rsyslog_lf": ("syslog, LF", protocols.SYSLOG_LF),
    "syslog_rsyslog_octet": ("syslog, counted", protocols.SYSLOG),
    "thrift": ("Thrift framed", protocols.THRIFT),
    "tls": ("TLS records", protocols.TLS),
    "twisted_int16": ("Twisted Int16", LengthPrefixed(_u16)),
    "twisted_int8": ("Twisted Int8", LengthPrefixed(_u8)),
    "twisted_line": ("Twisted lines", Delimited(b"\r\n")),
    "twisted_net": ("netstring", protocols.NETSTRING),
}


class Capture:
    """One recorded stream, its framing and the frames it must give. `frames` is the sidecar's own list."""

    def __init__(self, path: Path, sidecar: dict[str, Any], protocol: str, framing: Framing) -> None:
        self.name = path.name.removesuffix(".bin")
        self.protocol = protocol
        self.framing = framing
        self.data = path.read_bytes()
        self.frames: list[dict[str, Any]] = sidecar["frames"]
        self._chunks: list[int] = sidecar.get("chunks", [len(self.data)])  # a serial line has none
        self.damage = "" if sha256(self.data).hexdigest() == sidecar["sha256"] else "the recording is damaged"
        self.expected = [
            frame["sha256" if _keeps(framing, frame["phase"]) else "payload_sha256"] for frame in self.frames
        ]

    def recorded(self, frames: list[bytes], encoder: _backend.codec.Encoder) -> list[bytes]:
        """`frames` as the sidecar hashes them: stuffed ones are encoded again, whole."""
        return [encoder.encode(frame) for frame in frames] if _stuffed(self.framing) else frames

    def pieces(self, way: str, seed: int) -> Iterator[bytes]:
        """The stream in pieces, cut in one of `WAYS`; `seed` decides the random cuts."""
        size = len(self.data)
        steps: Iterable[int] = (size,)
        if way == "recorded chunks":
            steps = self._chunks
        elif way == "byte by byte":
            steps = repeat(1, size)
        elif way == "random cuts":
            choice = random.Random(f"{seed} {self.name}").choice
            # Short pieces reach into the headers, long ones hold several frames.
            steps = (choice((1, 2, 3, 7, 40, 300, 5000)) for _ in repeat(None))
        start = 0
        for step in steps:
            if start >= size:
                break
            yield self.data[start : start + step]
            start += step

    def cut(self, backend: Backend, way: str, seed: int) -> list[bytes]:
        """The frames that `backend` finds, its decoder's clean end included; FramewireError as decoding."""
        decoder = backend.codec.Decoder(self.framing._plan)
        frames: list[bytes] = []
        for piece in self.pieces(way, seed):
            frames += decoder.decode(piece)
        frames += decoder.feed_eof()
        if decoder.offset != len(self.data):
            raise ValueError(f"the decoder stopped at {decoder.offset} of {len(self.data)} bytes")
        return frames

    def check(self, backend: Backend, way: str, seed: int) -> str:
        """The first difference between what `backend` cuts and the sidecar; "" if there is none."""
        if self.damage:
            return self.damage
        try:
            found = self.cut(backend, way, seed)
            again = b"" if way != "whole" else backend.codec.Encoder(self.framing._plan).encode_many(found)
        except (ValueError, EOFError) as error:
            return str(error)
        shown = self.recorded(found, backend.codec.Encoder(self.framing._plan))
        for number, (frame, digest) in enumerate(zip(shown, self.expected), 1):
            if sha256(frame).hexdigest() != digest:
                return f"frame {number} at offset {self.frames[number - 1]['at']} differs"
        if len(found) != len(self.expected):
            return f"{len(found)} frames, recorded were {len(self.expected)}"
        if way == "whole" and again != self.data:
            return "encoding the frames gives other bytes"
        return ""


def _keeps(framing: Framing, phase: int) -> bool:
    """Whether frames of that phase of the recording include their header and trailer."""
    if isinstance(framing, Preamble):
        return _keeps(framing.then if phase else framing.first, 0)
    return isinstance(framing, (FixedLength, Tagged)) or _stuffed(framing) or not framing._plan[5]


def _stuffed(framing: Framing) -> bool:
    return isinstance(framing, (SLIP, HDLC, COBS))


def load(folder: Path) -> tuple[list[Capture], list[str]]:
    """The captures in `folder` whose framing is known, by name, and the names of the others."""
    captures, unknown = [], []
    for path in sorted(folder.glob("*.bin")):
        name = path.name.removesuffix(".bin")
        known = [prefix for prefix in FRAMINGS if name.startswith(prefix)]
        if known:
            sidecar = json.loads(path.with_suffix(".json").read_text("utf-8"))
            captures.append(Capture(path, sidecar, *FRAMINGS[max(known, key=len)]))
        else:
            unknown.append(name)
    return captures, unknown
