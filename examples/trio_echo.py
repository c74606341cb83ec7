"""trio through the decoder, which does no I/O: an echo server and a client of it, in one program.

    python examples/trio_echo.py

It ends by itself.
"""

from functools import partial

import trio

import framewire as fw

FRAMING = fw.LengthPrefixed(fw.u32)


async def messages(stream):
    """What comes, message by message, to the clean end; Truncated and DecodeError as everywhere."""
    decoder = FRAMING.decoder()
    async for data in stream:
        for message in decoder.decode(data):
            yield message
    for message in decoder.feed_eof():
        yield message


async def echo(stream):
    async for message in messages(stream):
        await stream.send_all(FRAMING.encode(message.upper()))


async def main():
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(FRAMING.encode_many([b"one", b"two"]))
            await stream.send_eof()
            async for message in messages(stream):
                print(message.decode())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
