"""A web service that speaks a binary protocol on a second port: counters, which HTTP reads and records count.

    python examples/aio_two_ports.py [BINARY [HTTP]]     # tcp://127.0.0.1:9002 tcp://127.0.0.1:8080

A skeleton, with the standard library alone: HTTP is a request's lines, to the empty one, and one answer.
"""

import asyncio
import json
import sys
from collections import Counter

import framewire as fw

counters = Counter()


class Count(fw.Record):
    by: fw.u32
    name: fw.str_u8


def count(conn, message):
    counters[message.name] += message.by
    return None


def page(conn, line):
    """The first line of a request is answered when the empty one has come."""
    if conn.state is None:
        conn.state = line
    elif not line:
        found = conn.state.split(b" ")[:2] == [b"GET", b"/counters"]
        body = json.dumps(counters).encode() if found else b"only /counters is here"
        conn.send(b"HTTP/1.1 " + (b"200 OK" if found else b"404 Not Found"))
        conn.send(b"Content-Length: %d" % (len(body) + 2))
        conn.send(b"Connection: close")
        conn.send(b"")
        conn.send(body)
        conn.close()


async def main(binary="tcp://127.0.0.1:9002", web="tcp://127.0.0.1:8080"):
    codec = fw.Messages(fw.u8, {1: Count})
    async with (
        await fw.aio.serve(count, binary, fw.LengthPrefixed(fw.u16), codec=codec) as counting,
        await fw.aio.serve(page, web, fw.Lines(), fw.Delimited(b"\r\n")) as serving,
    ):
        print(counting.address, serving.address, flush=True)
        await serving.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
