"""The only way from a client under test to the stand-ins: a proxy that knows no other hosts.

Azure's clients make host names of their own (``<account>.blob.<suffix>``), which no machine
resolves to itself. All of them honour ``https_proxy``, so that is where the names end. It counts
what passes through, so a test can have the line cut in the midst of an upload.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE = 1 << 16


@dataclass
class Cut:
    """The line to a host breaks `times` times, each time that so many bytes have gone there."""

    host: str
    after: int
    times: int
    sent: int = 0


@dataclass
class Wire:
    """Ports by the end of a host's name; the cuts asked for; the hosts refused."""

    ports: dict[str, int]
    address: str = ""
    refused: list[str] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self, host: str, after: int, times: int = 1) -> Cut:
        """Break the line to hosts whose name ends so, after `after` bytes of what clients send."""
        cut = Cut(host, after, times)
        with self.lock:
            self.cuts.append(cut)
        return cut

    def forget(self) -> None:
        """Nothing is cut any more, and nothing was refused."""
        with self.lock:
            self.cuts.clear()
            self.refused.clear()

    def port(self, host: str) -> int | None:
        """Where a host is; what is asked for in vain is kept."""
        for name, port in self.ports.items():
            if host == name or host.endswith("." + name):
                return port
        with self.lock:
            self.refused.append(host)
        return None

    def broken(self, host: str, sent: int) -> bool:
        """Whether the line breaks with these bytes."""
        with self.lock:
            for cut in self.cuts:
                if not host.endswith(cut.host) or not cut.times:
                    continue
                cut.sent += sent
                if cut.sent > cut.after:
                    cut.times, cut.sent = cut.times - 1, 0
                    return True
        return False


@contextmanager
def strung(ports: dict[str, int], at: str = "127.0.0.1") -> Iterator[Wire]:
    """The proxy on a port of its own, at this address of the machine."""
    wire = Wire(ports)
    listening = socket.create_server((at, 0))
    wire.address = f"http://{at}:{listening.getsockname()[1]}"
    thread = threading.Thread(target=_accept, args=(wire, listening), daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _accept(wire: Wire, listening: socket.socket) -> None:
    with suppress(OSError):  # closed
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_connect, args=(wire, client), daemon=True).start()


def _connect(wire: Wire, client: socket.socket) -> None:
    with client, suppress(OSError):  # either side may hang up
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(PIECE)
            if not piece:
                return
            head += piece
        method, target = head.split(b" ", 2)[:2]
        host = target.decode().rpartition(":")[0]
        port = wire.port(host) if method == b"CONNECT" else None
        if port is None:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _send(wire, host, client, server)
            back.join()


def _send(wire: Wire, host: str, client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while piece := client.recv(PIECE):
            if wire.broken(host, len(piece)):
                client.shutdown(socket.SHUT_RDWR)
                break
            server.sendall(piece)
    with suppress(OSError):
        server.shutdown(socket.SHUT_WR)


def _copy(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while piece := server.recv(PIECE):
            client.sendall(piece)
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)
