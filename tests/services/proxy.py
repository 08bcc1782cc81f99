"""A bad network: a TCP proxy on loopback that passes bytes on, slowly or not at all, or tells when so many have passed."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress


class Proxy:
    """Passes connections on to a port. Its fields may be changed at any time; it has state because networks change."""

    def __init__(self, port: int) -> None:
        self.stalled = threading.Event()
        self.delay_seconds, self.bytes_up = 0.0, 0
        self.on_bytes_up: Callable[[int], None] = lambda count: None
        self._target, self._sockets = port, list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._sockets.append(near)
                with suppress(OSError):
                    far = socket.create_connection(("127.0.0.1", self._target), 5)
                    self._sockets.append(far)
                    threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
                    threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()
                    continue
                near.close()

    def _pass(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                while self.stalled.is_set():
                    time.sleep(0.01)
                time.sleep(self.delay_seconds)
                target.sendall(data)
                if up:
                    self.bytes_up += len(data)
                    self.on_bytes_up(self.bytes_up)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
