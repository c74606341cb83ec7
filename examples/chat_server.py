"""A chat server: one thread, a selectors loop, any number of clients.

    python examples/chat_server.py [ADDRESS]     # tcp://127.0.0.1:9000; chat_client.py is the other half

A client's first line is its name; every later one goes to all the others. Nobody can hold up the rest:
who does not read is dropped when a megabyte is waiting for him, and who sends a line of over 4096 bytes.
"""

import selectors
import sys
from contextlib import suppress

import framewire as fw


class Chat:
    def __init__(self, listener):
        self.listener = listener
        self.names = {}  # connection -> name, None until its first line has come
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self.welcome()
                elif key.fileobj in self.names:  # not dropped by one served just before
                    self.serve(key.fileobj)

    def welcome(self):
        with suppress(BlockingIOError):  # the client may have gone again
            conn = self.listener.accept(timeout=0)
            conn.timeout = 0  # from here on no call waits
            self.names[conn] = None
            self.selector.register(conn, conn.events)

    def serve(self, conn):
        """Something has happened to `conn`: lines have come, there is room to send, or it has ended."""
        try:
            while True:
                for line in conn.recv_many():
                    self.hear(conn, line.decode("utf-8", "replace"))
                if not conn.ready:  # nothing more stands in the buffer: wait for the socket
                    break
        except BlockingIOError:
            pass  # half a line, or it was only room to send
        except fw.FramewireError as error:  # the end, clean or not, or a line that is too long
            self.drop(conn, error)
        if conn in self.names:
            self.selector.modify(conn, conn.events)

    def hear(self, conn, text):
        if conn not in self.names:
            return  # dropped while his other lines were told
        text = "".join(char if char.isprintable() else "?" for char in text)
        if self.names[conn] is None:
            self.names[conn] = text[:32] or "nobody"
            self.tell(f"* {self.names[conn]} is here", but=conn)
        else:
            self.tell(f"{self.names[conn]}: {text}", but=conn)

    def tell(self, text, but=None):
        print(text, flush=True)
        for conn in [one for one, name in self.names.items() if name is not None and one is not but]:
            if conn not in self.names:
                continue  # dropped while another one's end was told
            try:
                conn.send(text.encode())
                self.selector.modify(conn, conn.events)  # to write too, if not all of it went out
            except BlockingIOError:
                self.drop(conn, "does not read")
            except fw.FramewireError as error:
                self.drop(conn, error)

    def drop(self, conn, why):
        if conn not in self.names:
            return
        name = self.names.pop(conn)
        self.selector.unregister(conn)
        with suppress(OSError):  # what he has not read is lost
            conn.close(timeout=0)
        if name is not None:
            ended = isinstance(why, fw.EndOfStream)
            self.tell(f"* {name} has left" + ("" if ended else f" ({why})"))


if __name__ == "__main__":
    address = (sys.argv[1:] or ["tcp://127.0.0.1:9000"])[0]
    # Lines of up to 4096 bytes come in; with the name in front they may be longer when they go out.
    with fw.listen(address, fw.Lines(max_frame=4096), fw.Lines()) as listener:
        print("listening on", listener.address, flush=True)
        with suppress(KeyboardInterrupt):
            Chat(listener).run()
