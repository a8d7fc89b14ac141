"""The same request in six languages, with what the page's fields hold filled in. What /enviar and the documentation show.

Each runs as it stands, with what its language brings along; the token is taken from the environment (`POMBO_TOKEN`)
unless one is given. The text may be anybody's: it stands in each as a literal that says what it is and nothing more.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pombo.text.ucs2 import without_surrogates

LANGUAGES = {
    "curl": "cURL",
    "python": "Python",
    "php": "PHP",
    "node": "Node.js",
    "java": "Java",
    "csharp": "C#",
}
VARIABLE = "POMBO_TOKEN"

# Line ends that some languages know and JSON does not escape, and marks that would show a line in another order than it has.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class Call(NamedTuple):
    url: str
    token: str | None  # None: from the environment
    parameters: Sequence[tuple[str, str]] = ()  # of a form, beside the token
    messages: Sequence[Mapping[str, str]] = ()  # of a batch, instead


def call(
    base_url: str,
    path: str,
    parameters: Mapping[str, str],
    messages: Sequence[Mapping[str, str]] = (),
    token: str | None = None,
) -> Call:
    """path: `unitario.php`. parameters: those that are empty are left out. messages: what `envio.php` gets instead."""
    given = [(name, _storable(value)) for name, value in parameters.items() if value]
    filled = [{name: _storable(value) for name, value in message.items() if value} for message in messages]
    return Call(f"{base_url}/api/{path}", token, given, filled)


def _storable(text: str) -> str:
    """As the gateway would keep it: not every language can send what it drops."""
    return without_surrogates(text.replace("\0", ""))


def sample(language: str, of: Call) -> str:
    """KeyError for a language that is not one of LANGUAGES."""
    return _SAMPLES[language](of)


def _json(text: str) -> str:
    """A literal of JSON, Python, JavaScript, Java and C#."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _php(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _curl(of: Call) -> str:
    token = f'"${VARIABLE}"' if of.token is None else _shell(of.token)
    if of.messages:
        # The shell puts the token between two quoted pieces.
        body = _shell('[{"token": "') + token + _shell(f'", "mensagens": {_batch(of.messages, "  ")}}}]')
        return f"curl {_shell(of.url)} \\\n  -H 'Content-Type: application/json' \\\n  --data-binary {body}"
    lines = [f"curl {_shell(of.url)}", f"  --data-urlencode token={token}"]
    lines += [f"  --data-urlencode {_shell(f'{name}={value}')}" for name, value in of.parameters]
    return " \\\n".join(lines)


def _batch(messages: Sequence[Mapping[str, str]], indent: str) -> str:
    """A JSON array, a message each line; as it stands in Python and JavaScript, too."""
    lines = [
        f"{indent}  {{" + ", ".join(f"{_json(name)}: {_json(value)}" for name, value in message.items()) + "}"
        for message in messages
    ]
    return "[\n" + ",\n".join(lines) + f"\n{indent}]"


def _python(of: Call) -> str:
    token = f'os.environ["{VARIABLE}"]' if of.token is None else _json(of.token)
    needed = "import json, os" if of.token is None else "import json"
    if of.messages:
        body = f'json.dumps([{{"token": {token}, "mensagens": {_batch(of.messages, "    ")}}}]).encode()'
        return _lines(
            needed,
            "from urllib.request import Request, urlopen",
            "",
            f"corpo = {body}",
            f'pedido = Request({_json(of.url)}, corpo, {{"Content-Type": "application/json"}})',
            "with urlopen(pedido, timeout=10) as resposta:",
            "    print(json.load(resposta))",
        )
    return _lines(
        needed,
        "from urllib.parse import urlencode",
        "from urllib.request import urlopen",
        "",
        "corpo = urlencode({",
        f'    "token": {token},',
        *(f"    {_json(name)}: {_json(value)}," for name, value in of.parameters),
        "}).encode()",
        f"with urlopen({_json(of.url)}, corpo, timeout=10) as resposta:",
        "    print(json.load(resposta))",
    )


def _php_sample(of: Call) -> str:
    token = f"getenv('{VARIABLE}')" if of.token is None else _php(of.token)
    if of.messages:
        messages = [
            "        ["
            + ", ".join(f"{_php(name)} => {_php(value)}" for name, value in message.items())
            + "],"
            for message in of.messages
        ]
        body = [
            f"$corpo = json_encode([['token' => {token}, 'mensagens' => [",
            *messages,
            "]]]);",
        ]
        kind = "application/json"
    else:
        pairs = (f"    {_php(name)} => {_php(value)}," for name, value in of.parameters)
        body = ["$corpo = http_build_query([", f"    'token' => {token},", *pairs, "]);"]
        kind = "application/x-www-form-urlencoded"
    return _lines(
        "<?php",
        *body,
        "$pedido = stream_context_create(['http' => [",
        f"    'method' => 'POST', 'header' => 'Content-Type: {kind}', 'content' => $corpo, 'timeout' => 10,",
        "]]);",
        f"print_r(json_decode(file_get_contents({_php(of.url)}, false, $pedido), true));",
    )


def _node(of: Call) -> str:
    token = f"process.env.{VARIABLE}" if of.token is None else _json(of.token)
    if of.messages:
        body = [
            '  headers: { "Content-Type": "application/json" },',
            f"  body: JSON.stringify([{{ token: {token}, mensagens: {_batch(of.messages, '  ')} }}]),",
        ]
    else:
        pairs = (f"    {name}: {_json(value)}," for name, value in of.parameters)
        body = ["  body: new URLSearchParams({", f"    token: {token},", *pairs, "  }),"]
    return _lines(
        f"fetch({_json(of.url)}, {{",
        '  method: "POST",',
        *body,
        "})",
        "  .then((resposta) => resposta.json())",
        "  .then((dados) => console.log(JSON.stringify(dados)));",
    )


def _java(of: Call) -> str:
    token = f'System.getenv("{VARIABLE}")' if of.token is None else _json(of.token)
    if of.messages:
        kind = "application/json"
        # What stands in a literal there is JSON: escaped twice.
        lines = [f'"[{{\\"token\\":\\"" + {token} + "\\",\\"mensagens\\":["']
        for n, message in enumerate(of.messages):
            written = "{" + ",".join(f"{_json(name)}:{_json(value)}" for name, value in message.items()) + "}"
            lines.append(f"            + {_json(written + (',' if n + 1 < len(of.messages) else ''))}")
        body = "\n".join([*lines, '            + "]}]"'])
    else:
        kind = "application/x-www-form-urlencoded"
        lines = [f'"token=" + encode({token})']
        lines += [f'            + "&{name}=" + encode({_json(value)})' for name, value in of.parameters]
        body = "\n".join(lines)
    encode = (
        ""
        if of.messages
        else _lines(
            "",
            "    static String encode(String texto) {",
            "        return URLEncoder.encode(texto, StandardCharsets.UTF_8);",
            "    }",
        )
    )
    return _lines(
        "import java.net.*;",
        "import java.net.http.*;",
        "import java.nio.charset.StandardCharsets;",
        "",
        "public class Enviar {",
        "    public static void main(String[] args) throws Exception {",
        f"        var corpo = {body};",
        f"        var pedido = HttpRequest.newBuilder(URI.create({_json(of.url)}))",
        f'            .header("Content-Type", "{kind}")',
        "            .POST(HttpRequest.BodyPublishers.ofString(corpo)).build();",
        "        var resposta = HttpClient.newHttpClient().send(pedido, HttpResponse.BodyHandlers.ofString());",
        "        System.out.println(resposta.body());",
        "    }" + encode,
        "}",
    )


def _csharp(of: Call) -> str:
    token = f'Environment.GetEnvironmentVariable("{VARIABLE}")!' if of.token is None else _json(of.token)
    if of.messages:
        rows = (
            "        new() { "
            + ", ".join(f"[{_json(name)}] = {_json(value)}" for name, value in message.items())
            + " },"
            for message in of.messages
        )
        body = [
            "var corpo = JsonContent.Create(new[] { new {",
            f"    token = {token},",
            "    mensagens = new Dictionary<string, string>[] {",
            *rows,
            "    },",
            "} });",
        ]
    else:
        pairs = (f"    [{_json(name)}] = {_json(value)}," for name, value in of.parameters)
        body = [
            "var corpo = new FormUrlEncodedContent(new Dictionary<string, string> {",
            f'    ["token"] = {token},',
            *pairs,
            "});",
        ]
    return _lines(
        *(["using System.Net.Http.Json;", ""] if of.messages else []),
        "using var http = new HttpClient();",
        *body,
        f"var resposta = await http.PostAsync({_json(of.url)}, corpo);",
        "Console.WriteLine(await resposta.Content.ReadAsStringAsync());",
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines)


_SAMPLES: dict[str, Callable[[Call], str]] = {
    "curl": _curl,
    "python": _python,
    "php": _php_sample,
    "node": _node,
    "java": _java,
    "csharp": _csharp,
}
