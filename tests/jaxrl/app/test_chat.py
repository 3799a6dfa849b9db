# ruff: noqa: SIM117 (server and client outside, the refusal inside)
import base64
import contextlib
import http.server
import json
import signal
import socketserver
import stat
import threading
import time
from email.utils import formatdate

import pytest

from jaxrl.app import chat
from jaxrl.app.chat import ChatConfig, Client, NoAnswer, Rejected, is_this_machine, reply_of
from jaxrl.app.errors import UserError

KEY = "sk-SECRET-123456"
BASIC = base64.b64encode(b"user:pass@word").decode()


def answer(text="7", reason="stop", usage=(3, 1), **more):
    body = {"choices": [{"message": {"content": text}, "finish_reason": reason, **more}]}
    if usage:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return 200, {}, json.dumps(body).encode()


@contextlib.contextmanager
def server(script, host="127.0.0.1"):
    """A server that answers by `script(number, body, headers)`; gives its url and the requests."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append({"path": self.path, "body": body, "headers": dict(self.headers)})
            status, headers, data = script(len(got), body, self.headers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer((host, 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listening.server_port}/v1", got
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def client(url, **options):
    return Client(
        ChatConfig(base_url=url, pause=0.001, retries=options.pop("retries", 2), **options)
    )


def test_a_conversation(tmp_path):
    with (
        server(lambda *_: answer()) as (url, got),
        client(url, model="m", extra='{"top_k": 5}') as c,
    ):
        reply = c.chat([{"role": "user", "content": "3+4"}], max_tokens=9, temperature=0.0)
    assert reply[:5] == ("7", True, "stop", 3, 1)
    assert got[0]["path"] == "/v1/chat/completions"
    assert got[0]["body"] == {
        "model": "m",
        "messages": [{"role": "user", "content": "3+4"}],
        "temperature": 0.0,
        "max_tokens": 9,
        "top_k": 5,
    }
    assert got[0]["headers"]["Authorization"] == f"Bearer {KEY}"


def test_raw_completions():
    reply = 200, {}, json.dumps({"choices": [{"text": " x", "finish_reason": "length"}]}).encode()
    with server(lambda *_: reply) as (url, got), client(url) as c:
        found = c.complete("a", 3)
    assert found[:5] == (" x", False, "length", None, None)
    assert got[0]["path"] == "/v1/completions"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    """Neither the key nor the question reaches another host."""
    with server(lambda *_: answer(), "127.0.0.2") as (other, stolen):

        def redirect(number, body, headers):
            return status, {"Location": f"{other}/steal"}, b""

        with server(redirect) as (url, _), client(url) as c:
            with pytest.raises(Rejected, match=rf"redirects elsewhere \(status {status}\)"):
                c.chat([])
    assert stolen == []


def test_a_server_that_echoes_the_key_does_not_get_it_printed_or_kept(tmp_path):
    def echo(number, body, headers):
        return 401, {}, f"Incorrect API key provided: {headers['Authorization']} {KEY}".encode()

    with server(echo) as (url, _), client(url) as c, pytest.raises(Rejected) as caught:
        c.chat([])
    assert "401" in str(caught.value) and "SECRET" not in str(caught.value)

    with server(lambda *_: answer(f"your key is {KEY}")) as (url, _):
        with client(url, cache=str(tmp_path / "cache")) as c:
            assert c.chat([]).text == "your key is ***"
    assert not [p for p in tmp_path.rglob("*.json") if "SECRET" in p.read_text()]


@pytest.mark.parametrize(
    "spell",
    [
        lambda key: key[:8] + "\n" + key[8:],
        " ".join,
        lambda key: json.dumps(list(key)),
        lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
        lambda key: key.encode().hex(),
        lambda key: base64.b64encode(key.encode()).decode(),
        str.upper,
        lambda key: "".join(f"&#{ord(c)};" for c in key),
    ],
    ids=["split", "spaced", "list", "escaped", "hex", "base64", "upper", "entities"],
)
def test_other_spellings_of_a_key_are_masked_too(spell, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "corp/Key+of=Mine.1234567890")
    spelled = spell("corp/Key+of=Mine.1234567890")
    with server(lambda *_: (401, {}, f"bad key {spelled}, sorry".encode())) as (url, _):
        with (
            client(url, retries=0) as c,
            pytest.raises(Rejected, match=r"bad key \S*\*\*\*.*sorry"),
        ):
            c.chat([])
    with server(lambda *_: answer(f"7 {spelled}")) as (url, _):
        with client(url, cache=str(tmp_path)) as c:
            assert spelled not in c.chat([]).text
    (file,) = tmp_path.rglob("*.json")
    assert spelled not in str(json.loads(file.read_text()))


def test_keys_in_the_query_or_in_extra_fields_are_used_and_never_shown():
    def echo(number, body, headers):
        return 401, {}, f"no {got[-1]['path']} {body}".encode()

    with server(echo) as (url, got):
        extra = '{"auth": {"token": "FIELDSECRET"}, "tokenizer": "shown"}'
        address = f"{url}?api-key=QUERYSECRET&v=2"
        with client(address, extra=extra) as c, pytest.raises(Rejected) as caught:
            c.chat([])
        assert got[0]["path"].endswith("completions?api-key=QUERYSECRET&v=2")
    assert "v=2" in str(caught.value) and "shown" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    with client(address, retries=0) as c, pytest.raises(NoAnswer) as caught:
        c.chat([])  # the server is gone
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"extra": '{"api_key": "SECRET"'},
        {"extra": '"SECRET"'},
        {"key_variable": "sk-SECRET-123456"},
        {"base_url": "http://user:SEC/RET@127.0.0.1/v1"},
        {"base_url": "http://user:12SECRET?@127.0.0.1/v1"},
        {"base_url": "ftp://user:SECRET@127.0.0.1/v1"},
    ],
)
def test_refusals_of_options_repeat_no_secret(options):
    with pytest.raises(UserError) as caught:
        Client(ChatConfig(**options))
    assert "SEC" not in str(caught.value) and "RET" not in str(caught.value)


def test_half_a_character_in_a_question_is_sent():
    with server(lambda *_: answer()) as (url, got), client(url) as c:
        assert c.complete("a \ud83d \u2028 é").text == "7"
    assert got[0]["body"]["prompt"] == "a \ud83d \u2028 é"
    assert got[0]["headers"]["Content-Type"] == "application/json"


def test_null_leaves_a_field_out():
    with server(lambda *_: answer()) as (url, got):
        with client(url, extra='{"logprobs": null, "top_k": 2}') as c:
            c.complete("x", logprobs=1)
    assert "logprobs" not in got[0]["body"] and got[0]["body"]["top_k"] == 2


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also where the shell that began the tests ignores it (jobs in background)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_no_reply(interruptible):
    started, over, waited = threading.Event(), threading.Event(), []
    main = threading.get_ident()

    def slow(number, body, headers):
        started.set()
        waited.append(over.wait(60))
        return answer()

    def interrupt():
        started.wait(60)
        signal.pthread_kill(
            main, signal.SIGINT
        )  # interrupt_main would not wake a thread that waits

    with server(slow) as (url, got), client(url, concurrency=2) as c:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            c.ask_all("chat", [{"prompt": p} for p in "abcdef"])
        assert not waited and len(got) <= 4  # no reply has come
        over.set()
        assert c.chat([]).text == "7"  # and the client can be used again


@pytest.mark.parametrize("before", [0, 270, 290, 299])
def test_a_key_that_a_message_would_cut_is_masked_whole(before, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "company/word/of/thirty/letters")
    text = "." * before + " company/word/of/thirty/letters company%2Fword%2Fof%2Fthirty%2Fletters"
    escaped = (text + r" company\/word\/of\/thirty\/letters").encode()
    for status in (401, 200):  # refused, or no completion
        with server(lambda n, b, h, status=status: (status, {}, escaped)) as (url, _):
            with client(url, retries=0) as c, pytest.raises(UserError) as caught:
                c.chat([])
        assert "***" in str(caught.value) or before > 270
        assert "comp" not in str(caught.value).replace("no completion", "")


def test_passwords_in_the_address_are_used_and_never_shown(tmp_path):
    with server(lambda n, b, h: (403, {}, h["Authorization"].encode())) as (url, got):
        address = url.replace("://", "://user:pass%40word@")  # the password is pass@word
        with client(address, cache=str(tmp_path)) as c, pytest.raises(Rejected) as caught:
            c.chat([])
    assert got[0]["headers"]["Authorization"] == f"Basic {BASIC}"
    for secret in ("pass", "user:", BASIC):
        assert secret not in str(caught.value)


def test_cached_replies_are_private_and_not_asked_again(tmp_path):
    folder = tmp_path / "cache"
    with server(lambda *_: answer()) as (url, got):
        for _ in range(2):
            with client(url, cache=str(folder)) as c:
                assert c.chat([{"role": "user", "content": "3+4"}]).text == "7"
        assert len(got) == 1
        (file,) = folder.rglob("*.json")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        file.write_text('{"choi')
        with client(url, cache=str(folder)) as c:
            assert c.chat([{"role": "user", "content": "3+4"}]).text == "7"
        assert len(got) == 2


def test_what_may_pass_is_tried_again_and_retry_after_is_kept():
    waits = {1: (503, {"Retry-After": "0.3"}, b"busy"), 2: (429, {}, b"")}
    with server(lambda n, *_: waits.get(n, answer())) as (url, got), client(url) as c:
        began = time.monotonic()
        assert c.chat([]).text == "7"
        assert time.monotonic() - began >= 0.3
    assert c.requests == len(got) == 3


def test_a_date_or_nonsense_as_retry_after():
    assert 50 < chat._retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    for value in (None, "", "soon", "-5", "inf", "nan"):
        assert chat._retry_after(value) == 0
    far = 429, {"Retry-After": "86400"}, b"quota"
    with server(lambda *_: far) as (url, got), client(url) as c:
        with pytest.raises(NoAnswer, match="asks to wait 86400 s"):
            c.chat([])
    assert len(got) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": 3}}]}',
        b"\xff",
        b'{"choices": ["7"]}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": "7"}}], "usage": [3]}',
        b'{"error": {"message": "quota exceeded", "code": 429}}',
        b"<!DOCTYPE html>\n<html>Please log in</html>",
        b'data: {"choices": [{"delta": {"content": "7"}}]}\n\n',
        b"[" * 200_000,
    ],
    ids=range(15),
)
def test_nonsense_is_no_answer(data):
    with server(lambda *_: (200, {}, data)) as (url, got), client(url, retries=1) as c:
        with pytest.raises(NoAnswer, match=r"a reply that is no completion .*2 attempts"):
            c.chat([])
    assert len(got) == 2


def test_what_a_server_said_instead_of_a_completion_is_in_the_message_on_one_line():
    said = b'{"error": {"message":\n"quota of key sk-SECRET-123456 exceeded"}}'
    with server(lambda *_: (200, {}, said)) as (url, _), client(url, retries=0) as c:
        with pytest.raises(NoAnswer) as found:
            c.chat([])
    text = str(found.value)
    assert "quota of key *** exceeded" in text and "\n" not in text and KEY not in text


@pytest.mark.parametrize(
    "data, expected",
    [
        (b'{"choices": [{"text": "7", "finish_reason": "eos"}]}', ("7", True, None, None)),
        (b'{"choices": [{"text": "7", "finish_reason": "end_turn"}]}', ("7", True, None, None)),
        (b'{"choices": [{"text": "\\ud83d", "finish_reason": "stop"}]}', ("?", True, None, None)),
        (
            b'{"choices": [{"text": "7", "finish_reason": "stop"}], '
            b'"usage": {"prompt_tokens": Infinity, "completion_tokens": true}}',
            ("7", True, None, None),
        ),
        (
            b'\xef\xbb\xbf{"choices": [{"text": "7", "finish_reason": null}], '
            b'"usage": {"prompt_tokens": 1e99, "completion_tokens": 2.0}}',
            ("7", False, None, 2),
        ),
    ],
)
def test_odd_completions_are_read(data, expected):
    with server(lambda *_: (200, {}, data)) as (url, _), client(url, retries=0) as c:
        assert c.complete("x")[:2] + c.complete("x")[3:5] == expected


@pytest.mark.parametrize(
    "first, piece",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nx-name: ", b"a"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
    ids=["body", "header", "informational"],
)
def test_a_reply_that_trickles_is_given_up(first, piece):
    """Each byte comes in time, all of them do not."""

    class Slow(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                self.request.sendall(first)
                for _ in range(1000):
                    self.request.sendall(piece)
                    time.sleep(0.02)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
        with client(url, retries=0, timeout=0.3) as c, pytest.raises(NoAnswer, match="within"):
            c.complete("x")
        listening.shutdown()


def test_a_server_that_is_not_there():
    with server(lambda *_: answer()) as (url, _):
        pass
    with client(url, retries=1) as c, pytest.raises(NoAnswer, match="check that it runs"):
        c.chat([])


def test_an_endless_reply_is_cut(monkeypatch):
    monkeypatch.setattr(chat, "MAX_REPLY_BYTES", 1 << 20)
    with server(lambda *_: (200, {}, b" " * (3 << 20))) as (url, _), client(url, retries=0) as c:
        with pytest.raises(NoAnswer, match="a reply of more than 1 MiB"):
            c.chat([])


@pytest.mark.parametrize(
    "choice, expected",
    [
        (
            {"message": {"content": None}, "finish_reason": "length"},
            ("", False, "length", None, None),
        ),
        (
            {"message": {"content": "ab"}, "finish_reason": "length"},
            ("ab", False, "length", None, None),
        ),
        (
            {"message": {"content": None}, "finish_reason": "content_filter"},
            ("", False, "content_filter", None, None),
        ),
        (
            {"message": {"content": None, "tool_calls": []}, "finish_reason": "tool_calls"},
            ("", False, "tool_calls", None, None),
        ),
        (
            {"message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": "stop"},
            ("a", True, "stop", None, None),
        ),
        ({"text": "t", "finish_reason": None}, ("t", False, None, None, None)),
    ],
)
def test_unfinished_answers_and_no_counts(choice, expected):
    assert reply_of({"choices": [choice], "usage": None})[:5] == expected


def test_no_text_that_claims_to_be_finished_is_no_answer():
    with pytest.raises(ValueError, match="no text but None"):
        reply_of({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]})


def test_counts_that_are_none_are_unknown():
    counts = {"prompt_tokens": -1, "completion_tokens": "many"}
    raw = {"choices": [{"text": "", "finish_reason": "stop"}], "usage": counts}
    assert reply_of(raw)[3:5] == (None, None)


def test_the_other_name_of_the_limit_is_found_once_and_kept():
    words = b"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def script(number, body, headers):
        return answer() if "max_completion_tokens" in body else (400, {}, words)

    with server(script) as (url, got), client(url) as c:
        assert c.chat([], 5).text == "7" and c.chat([], 6).text == "7"
    assert [sorted(g["body"])[0] for g in got] == [
        "max_tokens",
        "max_completion_tokens",
        "max_completion_tokens",
    ]
    with server(script) as (url, _), client(url, token_limit="max_tokens") as c:
        with pytest.raises(Rejected):
            c.chat([], 5)
    with server(script) as (url, got), client(url, token_limit="max_completion_tokens") as c:
        c.chat([], 5)
    assert len(got) == 1


def test_threads_that_learn_the_other_name_at_once_are_all_answered():
    together = threading.Barrier(2)

    def script(number, body, headers):
        if "max_completion_tokens" in body:
            return answer()
        together.wait(60)
        return 400, {}, b"'max_tokens' is not supported, use 'max_completion_tokens'"

    with server(script) as (url, got), client(url, concurrency=2) as c:
        found = c.ask_all("chat", [{"messages": [], "max_tokens": n} for n in (1, 2)], reply_of)
    assert [reply_of(one).text for one in found] == ["7", "7"] and len(got) == 4


def test_one_bad_item_does_not_stop_the_others():
    def script(number, body, headers):
        return (400, {}, b"too long") if body["prompt"] == "b" else answer(body["prompt"])

    with server(script) as (url, _), client(url, concurrency=3) as c:
        found = c.ask_all("chat", [{"prompt": p} for p in "abc"], reply_of)
    assert isinstance(found[1], Rejected) and "too long" in str(found[1])
    assert [reply_of(found[n]).text for n in (0, 2)] == ["a", "c"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"base_url": "file:///etc/hostname"}, "is no http address"),
        ({"base_url": "localhost:8000"}, "is no http address"),
        ({"base_url": "http://h:port/v1"}, "is no http address"),
        ({"base_url": "http:///v1"}, "is no http address"),
        ({"base_url": "http://10.1.1.1/v1"}, "the key in OPENAI_API_KEY unencrypted"),
        (
            {"base_url": "http://user:hidden@example.org/v1", "key_variable": ""},
            "the password unencrypted",
        ),
        ({"base_url": "https://example.org/v1", "allow_remote": False}, "is not on this machine"),
        ({"extra": "[1]"}, "must be a JSON object"),
        ({"extra": "{top_k: 3}"}, "are no JSON"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(options, words):
    with pytest.raises(UserError, match=words) as caught:
        Client(ChatConfig(**options))
    assert "hidden" not in str(caught.value) and "SECRET" not in str(caught.value)


def test_a_key_with_a_line_break_cannot_add_headers(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a\nX-Evil: 1")
    with pytest.raises(UserError, match="characters that no key has"):
        Client(ChatConfig())


def test_no_key_is_sent_if_none_is_wanted():
    with server(lambda *_: answer()) as (url, got), client(url, key_variable="") as c:
        c.chat([])
    assert "Authorization" not in got[0]["headers"]
    Client(ChatConfig(base_url="http://10.1.1.1/v1", key_variable="")).close()


@pytest.mark.parametrize(
    "url, here",
    [
        ("http://localhost:1/v1", True),
        ("http://LOCALHOST/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://[::1]/v1", True),
        ("http://[::ffff:127.0.0.1]/v1", True),
        ("http://localhost.evil.com/v1", False),
        ("http://127.0.0.1@10.0.0.1/v1", False),
        ("http://0.0.0.0/v1", False),
        ("http://2130706433/v1", False),
        ("http://10.1.1.1/v1", False),
        ("http:///v1", False),
    ],
)
def test_what_is_this_machine(url, here):
    assert is_this_machine(url) is here


def test_requests_to_this_machine_pass_no_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with server(lambda *_: answer()) as (url, _), client(url) as c:
        assert c.chat([]).text == "7"


def test_a_certificate_that_nobody_signed_is_refused(tmp_path):
    import ssl
    import subprocess

    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-keyout",
            tmp_path / "key.pem",
            "-out",
            tmp_path / "cert.pem",
        ],
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Quiet) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        with client(f"https://localhost:{listening.server_port}/v1", retries=0) as c:
            with pytest.raises(NoAnswer, match="(?i)certificate"):
                c.chat([])
        listening.shutdown()
        thread.join()
