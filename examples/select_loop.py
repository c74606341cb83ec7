"""The HOWTO's way of non-blocking sockets: one select loop, a server and three clients in it, nothing waits.

    python examples/select_loop.py

`select.select` takes connections and listeners as they are. What differs from plain sockets: to read, ask for
whole messages; to write, just send, and look after what `unsent` says; and look at `ready` before selecting,
because a message may have come along with the one before it.
"""

import select
from selectors import EVENT_READ, EVENT_WRITE

import framewire as fw

WORDS = [b"one", b"two", b"three" * 100_000]  # the last is more than a socket takes at once


class Server:
    """Sends every message back in capitals."""

    def __init__(self, conn, name):
        self.conn, self.name = conn, name

    def received(self, message):
        self.conn.send(message.upper())


class Client:
    """Sends its words, and ends when all of them have come back."""

    def __init__(self, conn, name):
        self.conn, self.name, self.missing = conn, name, len(WORDS)
        self.sent = False

    def connected(self):
        self.conn.send_many(WORDS)
        self.sent = True

    def received(self, message):
        print(self.name, message[:5].decode(), len(message))
        self.missing -= 1
        if not self.missing:
            self.conn.shutdown_write()


def main():
    framing = fw.LengthPrefixed(fw.u32)
    with fw.listen("tcp://127.0.0.1:0", framing) as listener:
        talks = {}
        for name in "abc":
            conn = fw.connect(listener.address, framing, timeout=0)  # it is connecting: see its events
            talks[conn] = Client(conn, f"client {name}")
        while talks:
            # The HOWTO's three lists, except that each connection says itself what to wait for.
            readers = [listener] + [conn for conn in talks if conn.events & EVENT_READ]
            writers = [conn for conn in talks if conn.events & EVENT_WRITE]
            eager = [conn for conn in talks if conn.ready]
            readable, writable, _ = select.select(readers, writers, [], 0 if eager else None)
            if listener in readable:
                accept(listener, talks)
            for conn in {*eager, *readable, *writable} - {listener}:
                drive(talks, conn)


def accept(listener, talks):
    try:
        conn = listener.accept(timeout=0)
    except BlockingIOError:
        return  # he has gone again
    conn.timeout = 0
    talks[conn] = Server(conn, "a server")


def drive(talks, conn):
    talk = talks[conn]
    try:
        if isinstance(talk, Client) and not talk.sent:
            talk.connected()  # raises what connecting has come to
        for message in conn.recv_many():  # which also sends what is unsent
            talk.received(message)
    except BlockingIOError:
        pass  # nothing whole has come yet
    except fw.EndOfStream:
        print("ended:", talk.name)
        del talks[conn]
        conn.close(timeout=0)
    except (fw.FramewireError, OSError) as error:
        print("lost:", error)
        del talks[conn]
        conn.abort()


if __name__ == "__main__":
    main()
