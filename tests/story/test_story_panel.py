"""The panel of a platform with API workers: whoever answers knows who is signed in, and a stop waits for nobody."""

import http.client
import re
import time
import urllib.parse

from story_program import Program, running


def ask(
    program: Program, method: str, path: str, cookie: str = "", body: str = ""
) -> tuple[int, str, list[str]]:
    """Over a new connection, which the kernel gives to any of the processes: status, text, cookies."""
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
    headers = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    return answer.status, text, cookies


def test_every_process_knows_who_is_signed_in_and_streams_do_not_hold_up_a_stop() -> None:
    with running("serve", POMBO_API_WORKERS="2") as program:
        program.run("account", "add", "loja", "--balance", "1.00")
        link = program.run("user", "add", "loja", "ana@loja.example")["login_url"]
        path = urllib.parse.urlsplit(link).path
        _, page, cookies = ask(program, "GET", path)
        csrf = re.search(r'name="csrf" value="(\w+)"', page)
        assert csrf
        status, _, cookies = ask(program, "POST", path, "; ".join(cookies), f"csrf={csrf[1]}")
        assert status == 303
        signed_in = "; ".join(cookies)
        for _ in range(12):
            status, page, _ = ask(program, "GET", "/perfil/seguranca", signed_in)
            assert status == 200 and "ana@loja.example" in page
        streams = []
        for _ in range(6):
            connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=20)
            connection.request("GET", "/eventos", headers={"Cookie": signed_in})
            answer = connection.getresponse()
            assert answer.readline() == b"retry: 3000\n"
            streams.append(connection)
        before = time.monotonic()
        program.stop()
        assert time.monotonic() - before < 8  # answers under way get ten seconds
        for connection in streams:
            connection.close()
