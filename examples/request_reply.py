"""Request and reply with typed messages: a server in a thread and its client, in one program.

    python examples/request_reply.py

The messages are dataclasses. A codec turns them into bytes, one that says the type and JSON, and back; the
framing keeps the messages apart. Each half can be another program: only the address changes.
"""

import dataclasses
import json
import threading
import time

import framewire as fw


@dataclasses.dataclass
class Measure:
    sensor: str


@dataclasses.dataclass
class Reading:
    sensor: str
    celsius: float


@dataclasses.dataclass
class Failure:
    reason: str


class Codec:
    """`encode` makes bytes of an object, `decode` an object of bytes: that is all a codec is."""

    types = {b"M": Measure, b"R": Reading, b"F": Failure}
    letters = {cls: letter for letter, cls in types.items()}

    def encode(self, message):
        return self.letters[type(message)] + json.dumps(dataclasses.asdict(message)).encode()

    def decode(self, data):
        letter, content = data[:1], data[1:]
        if letter not in self.types:
            raise ValueError(f"a message of the unknown type {letter!r}")
        return self.types[letter](**json.loads(content))


FRAMING = fw.LengthPrefixed(fw.u16)
SENSORS = {"attic": (31.5, 0), "cellar": (11.25, 0), "roof": (38.0, 0.5)}  # degrees, seconds to measure


def serve(listener):
    for conn in listener:  # until the listener is closed
        with conn:
            for request in conn:
                conn.send(answer(request))


def answer(request):
    if not isinstance(request, Measure):
        return Failure(f"a {type(request).__name__} is no request")
    if request.sensor not in SENSORS:
        return Failure(f"there is no sensor {request.sensor}")
    celsius, seconds = SENSORS[request.sensor]
    time.sleep(seconds)
    return Reading(request.sensor, celsius)


def main():
    with fw.listen("tcp://127.0.0.1:0", FRAMING, codec=Codec()) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        with fw.connect(listener.address, FRAMING, codec=Codec()) as conn:
            print(conn.request(Measure("attic"), timeout=10))
            print(conn.request(Measure("cellar"), timeout=10))
            print(conn.request(Measure("pool"), timeout=10))
            try:
                conn.request(Measure("roof"), timeout=0.1)
            except fw.Timeout as error:
                print("Timeout:", error)
            # A timeout loses nothing: that reply is still to come, and would be taken for the next one's.
            print("late:", conn.recv(timeout=10))
            print(conn.request(Reading("attic", 0.0), timeout=10))
    server.join()


if __name__ == "__main__":
    main()
