"""TLS: a server with a certificate of its own, and a client that trusts who has signed it.

    python examples/tls.py serve tls://127.0.0.1:9000 server.pem server.key
    python examples/tls.py ask tls://localhost:9000 ca.pem hello world     # in another terminal: HELLO, WORLD

`server.pem` holds the certificate and what leads to its authority, `ca.pem` the authority. To make them:
`openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.pem -days 30 -subj /CN=localhost
-addext subjectAltName=DNS:localhost`, and `ca.pem` is `server.pem`, then. "tls://host:port" alone trusts what
the system trusts.
"""

import ssl
import sys

import framewire as fw


def serve(address, certificate, key):
    server = fw.Server(lambda conn, line: line.upper(), address, fw.Lines(), tls=(certificate, key))
    print("listening on", server.address, flush=True)
    server.serve_forever()


def ask(address, authority, *words):
    context = ssl.create_default_context(cafile=authority)
    try:
        with fw.connect(address, fw.Lines(), tls=context) as conn:
            print(conn.tls.version(), "with", conn.peer_address)
            for word in words:
                print(conn.request(word.encode(), timeout=10).decode())
    except fw.ConnectionLost as error:  # not who he should be, or no TLS at all
        sys.exit(str(error))


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
