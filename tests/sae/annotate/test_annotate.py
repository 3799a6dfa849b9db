"""Annotators: verification on halves, rules, tables, an endpoint that is down, slow or wrong, and
cassettes.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.annotate.endpoint import (
    Cassette,
    Endpoint,
    EndpointConfig,
    Recorded,
    Silent,
    in_brackets,
    is_this_machine,
    says_yes,
)
from sae.annotate.protocol import Radiograph, Verdict, examine
from sae.annotate.rules import Manual, Rules, read_manual
from sae.patterns.exemplars import Gallery


def radiograph(name, report="", **given):
    return Radiograph(name, np.full((8, 8), len(name), np.uint8), report, given)


GALLERY = Gallery(np.arange(10), (), np.arange(100, 110))


class Fixed:
    """Calls everything the same, and sees it where it is asked to."""

    def __init__(self, sees):
        self.sees, self.shown, self.asked = sees, [], []

    def name(self, radiographs):
        self.shown = [f.name for f in radiographs]
        return "it"

    def verify(self, name, radiograph):
        self.asked.append(radiograph.name)
        return self.sees(int(radiograph.name))


def test_a_name_that_says_nothing_gets_one_half_though_lanse_would_give_one():
    vague = Fixed(lambda row: True)
    verdict = examine(vague, GALLERY, lambda row: radiograph(str(row)))
    assert verdict.accuracy == 0.5
    assert verdict.record()["lanse_accuracy"] == 1.0
    assert not set(vague.shown) & set(vague.asked) and len(vague.asked) == 10
    true = examine(Fixed(lambda row: row < 50), GALLERY, lambda row: radiograph(str(row)))
    assert true.accuracy == 1 and true.record()["low"] > 0.7
    assert Verdict("", 0, 0, 0, 0).record()["accuracy"] is None


def test_rules_find_what_the_shown_radiographs_share():
    wet = [
        radiograph(f"w{i}", "There is a left pleural effusion. The heart is normal.", Effusion=1.0)
        for i in range(5)
    ]
    dry = [
        radiograph(f"d{i}", "The heart is normal. No effusion.", Effusion=0.0) for i in range(20)
    ]
    rules = Rules(wet + dry)
    name = rules.name(wet)
    assert name in ("effusion", "there is a left pleural effusion")
    assert rules.verify(name, wet[0]) and not rules.verify(name, dry[0])
    assert rules.name(dry) == ""


def test_a_table_of_people(tmp_path):
    (tmp_path / "t.csv").write_text(
        "pattern,name,radiograph,shows\n3,catheter,0,1\n3,catheter,101,0\n4,heart,,\n"
    )
    read = read_manual(tmp_path / "t.csv", [3, 4, 9])
    manual = read[3]
    assert (
        manual.name([]) == "catheter"
        and manual.verify("catheter", radiograph("0"))
        and manual.verify("catheter", radiograph("7")) is None
    )
    assert read[9].name([]) == ""
    judged = examine(
        Manual("catheter", {"1": True, "3": False, "101": False}),
        GALLERY,
        lambda row: radiograph(str(row)),
    )
    assert (judged.positives, judged.accepted, judged.negatives, judged.rejected) == (
        2,
        1,
        1,
        1,
    )  # what is not judged does not count
    for text, complaint in (
        ("x\n1\n", "has no column pattern, name"),
        ("pattern,name\n12,heart\n", "row 2 .* pattern '12'"),
        ("pattern,name,radiograph,shows\n3,heart,a,2\n", "says '2'"),
    ):
        (tmp_path / "u.csv").write_text(text)
        with pytest.raises(UserError, match=complaint):
            read_manual(tmp_path / "u.csv", [3])


class Server:
    """A chat endpoint on this machine that answers from a list: text, an HTTP status, or seconds to
    sleep before "yes".
    """

    def __init__(self, answers):
        outer = self
        self.requests, self.answers = [], list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.requests.append(
                    (
                        self.path,
                        dict(self.headers),
                        json.loads(self.rfile.read(int(self.headers["Content-Length"]))),
                    )
                )
                answer = outer.answers.pop(0) if outer.answers else "yes"
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = "yes"
                status, text = (answer, "") if isinstance(answer, int) else (200, answer)
                body = (
                    json.dumps({"choices": [{"message": {"content": text}}]}).encode()
                    if text != "garbage"
                    else b"<html>"
                )
                try:
                    if text == "no http":
                        self.wfile.write(b"what?\r\n\r\n")
                        return
                    self.send_response(status)
                    if text == "torn":
                        self.send_header("Content-Length", str(len(body) + 10))
                    if status == 302:
                        self.send_header("Location", outer.elsewhere)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client did not wait

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def config(url, **fields):
    return EndpointConfig(url=url, **{"pause": 0.01, "timeout": 5.0, "tries": 3} | fields)


def test_an_endpoint_names_and_verifies_and_is_never_asked_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with Server(["It shows [a pleural  effusion] here.", "No, it does not.", "Yes."]) as server:
        endpoint = Endpoint(config(server.url), Cassette(tmp_path / "answers.jsonl"))
        radiographs = [radiograph("a", "wet " * 1000), radiograph("bb")]
        assert endpoint.name(radiographs) == "a pleural effusion"
        assert not endpoint.verify("a pleural effusion", radiographs[0]) and endpoint.verify(
            "a pleural effusion", radiographs[1]
        )
        assert endpoint.name(radiographs) == "a pleural effusion" and len(server.requests) == 3
        path, headers, body = server.requests[0]
        assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer secret-key"
        parts = body["messages"][0]["content"]
        assert [p["type"] for p in parts] == ["text", "text", "image_url", "image_url"]
        assert len(parts[1]["text"]) <= 510 and parts[2]["image_url"]["url"].startswith(
            "data:image/png;base64,"
        )
    kept = (tmp_path / "answers.jsonl").read_text()
    assert "secret-key" not in kept
    recorded = Recorded(Cassette(tmp_path / "answers.jsonl"), "local")
    assert recorded.name(radiographs) == "a pleural effusion"
    with pytest.raises(UserError, match="holds no answer"):
        recorded.verify("something else", radiographs[0])


def test_failures_are_tried_again_and_then_reported(tmp_path):
    with Server([500, "garbage", "[heart]"]) as server:
        endpoint = Endpoint(config(server.url), Cassette(tmp_path / "a.jsonl"))
        assert endpoint.name([radiograph("a")]) == "heart" and len(server.requests) == 3
    with Server(["no http", "torn", None, "[heart]"]) as server:
        endpoint = Endpoint(config(server.url, tries=4), Cassette(tmp_path / "e.jsonl"))
        assert endpoint.name([radiograph("a")]) == "heart" and len(server.requests) == 4
    with Server([3.0, "yes"]) as server:  # too slow at first
        endpoint = Endpoint(config(server.url, timeout=1.5), Cassette(tmp_path / "b.jsonl"))
        assert endpoint.verify("x", radiograph("a")) and len(server.requests) == 2
    with Server([401]) as server, pytest.raises(UserError, match="401"):
        Endpoint(config(server.url), Cassette(tmp_path / "c.jsonl")).verify("x", radiograph("a"))
    gone = Endpoint(config("http://127.0.0.1:9/v1"), Cassette(tmp_path / "d.jsonl"))
    with pytest.raises(Silent, match="no answer in 3 tries"):
        gone.verify("x", radiograph("a"))


def test_redirections_are_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with Server([]) as other, Server([302] * 3) as server:
        server.elsewhere = other.url
        with pytest.raises(UserError, match="302"):
            Endpoint(config(server.url), Cassette(tmp_path / "a.jsonl")).verify(
                "x", radiograph("a")
            )
        assert len(server.requests) == 1 and not other.requests


def test_other_hosts_are_refused_unless_allowed(tmp_path):
    for url in (
        "https://api.example.org/v1",
        "http://10.0.0.3:8000/v1",
        "http://localhost.example.org/v1",
    ):
        assert not is_this_machine(url)
        with pytest.raises(UserError, match="not on this machine"):
            Endpoint(EndpointConfig(url=url), Cassette(tmp_path / "a.jsonl"))
        Endpoint(EndpointConfig(url=url, allow_remote=True), Cassette(tmp_path / "a.jsonl"))
    assert is_this_machine("http://localhost:1/v1") and is_this_machine("http://[::1]:1/v1")
    with pytest.raises(UserError, match="no http address"):
        Endpoint(EndpointConfig(url="file:///etc/passwd"), Cassette(tmp_path / "a.jsonl"))


def test_a_torn_cassette_keeps_its_whole_lines(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    Cassette(path).keep("k", "v", {})
    path.write_text(path.read_text() + '{"key": "half')
    torn = Cassette(path)
    assert torn.answers == {"k": "v"}
    assert capsys.readouterr().err == (
        f"warning: {path}, line 2, is cut or damaged: what it answered is asked again\n"
    )
    torn.keep("l", "w", {})
    assert Cassette(path).answers == {"k": "v", "l": "w"}
    path.write_text("pattern,name\n1,heart\n2,lung\n")
    with pytest.raises(UserError, match="no file of answers"):
        Cassette(path)


def test_reading_answers():
    assert (
        in_brackets("x [a] [b]") == "a" and in_brackets("no brackets\nhere") == "no brackets here"
    )
    assert (
        says_yes("Yes, clearly no doubt")
        and not says_yes("No. yes?")
        and not says_yes("perhaps")
        and not says_yes("eyes know")
    )
