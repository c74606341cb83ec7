"""A chat server in an event loop: any number of clients, each a task.

    python examples/aio_chat.py [ADDRESS]     # tcp://127.0.0.1:9000; chat_client.py is the other half

A client's first line is its name; every later one goes to all the others. Who does not read is dropped.
"""

import asyncio
import sys
from contextlib import suppress

import framewire as fw

names = {}  # connection -> name


async def said(conn, message):
    if conn not in names:
        names[conn] = message
        tell(conn, message + b" has come")
    else:
        tell(conn, names[conn] + b": " + message)


def tell(sender, line):
    for conn in list(names):
        if conn is not sender:
            asyncio.ensure_future(send(conn, line))


async def send(conn, line):
    try:
        await conn.send(line, timeout=10)
    except OSError:
        with suppress(OSError):
            conn.abort()


def left(conn, error):
    name = names.pop(conn, None)
    if name is not None:
        tell(conn, name + b" has left")


async def main(address="tcp://127.0.0.1:9000"):
    async with await fw.aio.serve(said, address, fw.Lines(max_frame=4096), on_close=left) as server:
        print(server.address, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
