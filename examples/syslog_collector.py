"""A syslog collector: RFC 6587's two framings on one port, thousands of senders in one thread.

    python examples/syslog_collector.py                       # listens on tcp://127.0.0.1:6514
    logger --tcp --server 127.0.0.1 --port 6514 hello         # in another terminal, or rsyslog, syslog-ng ...

A message that begins with a digit says its length, any other ends with its line; `SYSLOG_ANY` reads both.
Every message is printed with its sender; Ctrl-C and SIGTERM end it when all that has come is printed.
"""

import re
import sys

import framewire as fw

PRIORITY = re.compile(rb"<(\d{1,3})>")
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def collect(conn, message):
    found = PRIORITY.match(message)
    level = LEVELS[int(found[1]) % 8] if found else "?"
    text = message[found.end() if found else 0 :].decode("utf-8", "backslashreplace")
    # Control characters of a stranger do not belong on a terminal.
    print(conn.peer_address, level, text.encode("unicode_escape").decode(), flush=True)


if __name__ == "__main__":
    address = (sys.argv[1:] or ["tcp://127.0.0.1:6514"])[0]
    server = fw.Server(collect, address, fw.protocols.SYSLOG_ANY, mode="selector", idle_timeout=3600)
    print("listening on", server.address, flush=True)
    server.serve_forever()
