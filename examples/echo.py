"""Echo: a server that sends every line back in capitals, a thread for each connection; and its client.

    python examples/echo.py                                  # listens on tcp://127.0.0.1:9000
    python examples/echo.py tcp://127.0.0.1:9000 hello world # in another terminal: HELLO, WORLD

`nc 127.0.0.1 9000` is a client too.
"""

import sys
import threading

import framewire as fw


def serve(address):
    with fw.listen(address, fw.Lines()) as listener:
        print("listening on", listener.address, flush=True)
        for conn in listener:
            threading.Thread(target=echo, args=(conn,), daemon=True).start()


def echo(conn):
    try:
        with conn:
            for line in conn:  # until the peer ends cleanly
                conn.send(line.upper())
    except fw.FramewireError as error:  # he vanished, or sent what is no line
        print(error, file=sys.stderr)


def ask(address, words):
    with fw.connect(address, fw.Lines()) as conn:
        for word in words:
            print(conn.request(word.encode(), timeout=10).decode())


if __name__ == "__main__":
    try:
        if sys.argv[2:]:
            ask(sys.argv[1], sys.argv[2:])
        else:
            serve((sys.argv[1:] or ["tcp://127.0.0.1:9000"])[0])
    except KeyboardInterrupt:
        pass
