"""The tutorial page on records, run as it stands, against a DNS server that others have written."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framewire import _backend, records

dnslib = pytest.importorskip("dnslib", reason="the package dnslib is not installed")
PAGE = Path(__file__).parent.parent / "docs/tutorial-records.md"
ZONE = """
example.org.     60 IN A     192.0.2.1
example.org.     60 IN A     192.0.2.2
www.example.org. 60 IN CNAME example.org.
"""


@pytest.fixture
def server() -> Iterator[str]:
    from dnslib import QTYPE, RCODE, RR
    from dnslib.server import BaseResolver, DNSLogger, DNSServer

    zone = RR.fromZone(ZONE)

    class Resolver(BaseResolver):  # type: ignore[misc, unused-ignore]
        def resolve(self, request: Any, handler: Any) -> Any:
            reply = request.reply()
            for row in zone:
                if row.rname == request.q.qname and QTYPE[row.rtype] == QTYPE[request.q.qtype]:
                    reply.add_answer(row)
            if not reply.rr:
                reply.header.rcode = RCODE.NXDOMAIN
            return reply

    running = DNSServer(
        Resolver(), port=0, address="127.0.0.1", tcp=True, logger=DNSLogger(logf=lambda _: None)
    )
    running.start_thread()
    yield f"tcp://127.0.0.1:{running.server.server_address[1]}"
    running.stop()
    running.server.server_close()


def test_the_page(server: str, backend: Any) -> None:
    assert records._backend.records is _backend.records
    test = doctest.DocTestParser().get_doctest(
        PAGE.read_text("utf-8"), {"server": server, "__name__": "tutorial"}, "tutorial", str(PAGE), 0
    )
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)
    assert result.attempted > 30
