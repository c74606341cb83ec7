"""A chat client: reads the keyboard, or a pipe, and the connection at once.

    python examples/chat_client.py ADDRESS NAME               # tcp://127.0.0.1:9000 Ada
    echo hello | python examples/chat_client.py ADDRESS NAME

It ends with its input (Ctrl-D): it tells the server that nothing more will come, and prints what still does.
"""

import os
import select
import selectors
import sys

import framewire as fw


def chat(address, name):
    keyboard = fw.Lines(eof="deliver").decoder()  # framing works on anything that gives bytes
    with fw.connect(address, fw.Lines(), fw.Lines(max_frame=4096)) as conn:
        conn.timeout = 0  # from here on no call waits, only select does
        conn.send(name.encode())
        typing = True
        while True:
            # No more is read than the server takes. (Unlike epoll, select takes regular files for stdin.)
            readers = [conn, sys.stdin] if typing and not conn.unsent else [conn]
            writers = [conn] if conn.events & selectors.EVENT_WRITE else []
            readable, writable, _ = select.select(readers, writers, [])
            if sys.stdin in readable:
                data = os.read(sys.stdin.fileno(), 65536)
                for line in keyboard.decode(data) if data else keyboard.feed_eof():
                    try:
                        conn.send(line)
                    except fw.EncodeError as error:  # too long for the server
                        print(error, file=sys.stderr)
                if not data:
                    typing = False
                    conn.shutdown_write(timeout=10)
            if conn in readable or conn in writable:
                try:
                    for line in conn.recv_many():  # it also sends what is unsent
                        text = line.decode("utf-8", "replace")
                        print("".join(char if char.isprintable() else "?" for char in text), flush=True)
                except BlockingIOError:
                    pass  # half a line
                except fw.EndOfStream:
                    return "the server has ended" if typing else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        sys.exit(chat(sys.argv[1], sys.argv[2]))
    except KeyboardInterrupt:
        pass
    except (fw.FramewireError, OSError) as error:
        sys.exit(f"chat: {error}")
