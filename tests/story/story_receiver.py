"""A customer's callback receiver: takes GETs, remembers them, answers as told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from story_program import until


class Receiver:
    def __init__(self) -> None:
        self.targets: list[str] = []  # request targets, in the order of arrival
        self.headers: list[dict[str, str]] = []
        self.answer = 200
        receiver = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.targets.append(self.path)
                self.send_response(receiver.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A platform that is killed breaks its connections."""

        self._server = Server(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def of(self, part: str) -> list[str]:
        """Targets that hold this."""
        return [target for target in self.targets if part in target]

    def wait(self, part: str, timeout_s: float = 10) -> str:
        return until(lambda: self.of(part), timeout_s=timeout_s, what=f"a callback with {part}")[0]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
