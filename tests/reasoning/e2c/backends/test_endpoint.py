"""The endpoint back-end against a server on this machine that can be slow, broken,
garbled or down.
"""

import contextlib
import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.asking import Ask, Sampling, Weigh
from reasoning.e2c.backends.endpoint import Endpoint, EndpointConfig
from reasoning.e2c.format import Prompt


class Server:
    """A stub: `behave(body, number)` gives (status, reply)."""

    def __init__(self, behave):
        self.bodies, self.headers, stub = [], [], self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.bodies.append(body | {"path": self.path})
                stub.headers.append(dict(self.headers))
                status, reply = behave(body, len(stub.bodies))
                payload = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                self.end_headers()
                with contextlib.suppress(OSError):  # the client gave up
                    self.wfile.write(payload)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve():
    started = []

    def start(behave):
        started.append(Server(behave))
        return started[-1]

    yield start
    for server in started:
        server.close()


def good(body, number=0):
    text = f"reply to {body['prompt'][-3:]} {body['seed'] % 10}"
    return 200, {
        "choices": [
            {"text": text, "finish_reason": "stop", "logprobs": {"token_logprobs": [-0.5, -0.25]}}
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5},
    }


def endpoint(server, tmp_path, **changes):
    config = EndpointConfig(
        server.url,
        cache=str(tmp_path / "cache"),
        pause=0.01,
        retries=2,
        timeout=5.0,
        template="{user}|{prefill}",
    )
    return Endpoint(replace(config, **changes))


ASKS = [
    Ask("plan", Prompt("q1", "<A>"), Sampling(9, 0.9, 0.95, ("</A>",)), 2),
    Ask("execution", Prompt("q2", "<B>"), Sampling(99)),
]


def test_completions_are_counted_as_the_server_says(serve, tmp_path):
    server = serve(good)
    found = endpoint(server, tmp_path).complete(ASKS)
    assert [len(group) for group in found] == [2, 1]
    first = found[0][0]
    assert (first.tokens, first.prompt_tokens, first.finished, first.logprob) == (
        5,
        11,
        True,
        -0.75,
    )
    body = next(b for b in server.bodies if b["max_tokens"] == 9)
    assert (
        body["prompt"] == "q1|<A>"
        and body["stop"] == ["</A>"]
        and body["path"] == "/v1/completions"
    )
    assert (
        len({b["seed"] for b in server.bodies if b["max_tokens"] == 9}) == 2
    )  # two different samples


def test_what_was_answered_is_not_asked_again(serve, tmp_path):
    server = serve(good)
    first = endpoint(server, tmp_path).complete(ASKS)
    again = endpoint(server, tmp_path)
    assert again.complete(ASKS) == first and again.requests == 0 and len(server.bodies) == 3
    assert (
        endpoint(server, tmp_path).complete([ASKS[1]._replace(seed=5)]) != [first[1]]
        and len(server.bodies) == 4
    )


def test_failures_that_pass_are_retried(serve, tmp_path):
    server = serve(lambda body, number: good(body) if number > 2 else (503, {"error": "busy"}))
    assert endpoint(server, tmp_path).complete(ASKS[1:])[0][0].tokens == 5
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    "reply, stated",
    [
        ((500, {"error": "broken"}), "status 500"),
        ((200, b"<html>not JSON"), "no completion"),
        ((200, {"choices": []}), "no completion"),
        (
            (
                200,
                {
                    "choices": [{"text": None}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
                },
            ),
            "no completion",
        ),
        (
            (
                200,
                {
                    "choices": [{"text": "x"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": -1},
                },
            ),
            "no completion",
        ),
        ((200, [1]), "no completion"),
    ],
)
def test_failures_that_stay_are_refused_with_the_remedy(serve, tmp_path, reply, stated):
    server = serve(lambda body, number: reply)
    with pytest.raises(UserError, match=stated) as refused:
        endpoint(server, tmp_path).complete(ASKS[1:])
    assert "same command again" in str(refused.value) and len(server.bodies) == 3


def test_a_wrong_request_is_not_repeated(serve, tmp_path):
    server = serve(lambda body, number: (400, {"error": "no such model"}))
    with pytest.raises(UserError, match="no such model"):
        endpoint(server, tmp_path).complete(ASKS[1:])
    assert len(server.bodies) == 1


def test_nothing_is_lost_when_some_requests_fail(serve, tmp_path):
    broken = [True]
    server = serve(
        lambda body, number: (
            (500, {}) if broken[0] and body["prompt"].startswith("q2") else good(body)
        )
    )
    with pytest.raises(UserError, match="2 of 3 replies are kept"):
        endpoint(server, tmp_path).complete(ASKS)
    before, broken[0] = len(server.bodies), False
    endpoint(server, tmp_path).complete(ASKS)
    assert len(server.bodies) == before + 1  # only the one that failed


def test_a_damaged_cache_file_is_asked_for_anew(serve, tmp_path):
    server = serve(good)
    first = endpoint(server, tmp_path).complete(ASKS[1:])
    (file,) = (tmp_path / "cache").rglob("*.json")
    file.write_text('{"choices": [')
    assert endpoint(server, tmp_path).complete(ASKS[1:]) == first and len(server.bodies) == 2


def test_a_server_that_is_down_or_slow_is_refused(serve, tmp_path):
    server = serve(lambda body, number: (time.sleep(1.0), good(body))[1])
    with pytest.raises(UserError, match="timed out"):
        endpoint(server, tmp_path, timeout=0.1, retries=1).complete(ASKS[1:])
    down = endpoint(server, tmp_path, base_url="http://127.0.0.1:9", retries=1)
    with pytest.raises(UserError, match="did not answer"):
        down.complete(ASKS[1:])


def test_the_chat_api_asks_for_the_prefill_in_words(serve, tmp_path):
    choice = {"message": {"content": "<A>1. go"}, "finish_reason": "length"}
    reply = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    server = serve(lambda body, number: (200, reply))
    found = endpoint(server, tmp_path, api="chat").complete(ASKS[:1])
    assert found[0][0].text == "1. go" and not found[0][0].finished
    assert server.bodies[0]["path"] == "/v1/chat/completions" and server.bodies[0]["messages"][0][
        "content"
    ].endswith("<A>")
    with pytest.raises(UserError, match="cannot weigh"):
        endpoint(server, tmp_path, api="chat").weigh([Weigh("judge", Prompt("q"), "x")])


def test_continuations_are_weighed_by_echo(serve, tmp_path):
    logprobs = {"text_offset": [0, 2, 4, 6], "token_logprobs": [None, -9.0, -0.5, -0.25]}
    reply = {
        "choices": [{"text": "abcdefgh", "logprobs": logprobs}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 0},
    }
    server = serve(lambda body, number: (200, reply))
    (found,) = endpoint(server, tmp_path, template="{user}{prefill}").weigh(
        [Weigh("judge", Prompt("ab", "cd"), "efgh")]
    )
    assert (found.logprob, found.tokens, found.prompt_tokens) == (-0.75, 2, 2)
    assert server.bodies[0]["echo"] and server.bodies[0]["max_tokens"] == 0


@pytest.mark.parametrize(
    "offsets, values",
    [([], []), ([6], [-0.5]), ([0, 0, 0, 0], [None, -1.0, -1.0, -1.0]), ([0, 4], [None, None])],
    ids=["nothing", "only what was generated", "no places", "no numbers"],
)
def test_a_server_that_does_not_echo_prompts_cannot_weigh(serve, tmp_path, offsets, values):
    """A plan of which nothing was counted would be the likeliest."""
    logprobs = {"text_offset": offsets, "token_logprobs": values}
    server = serve(lambda body, number: (200, {"choices": [{"text": "a", "logprobs": logprobs}]}))
    with pytest.raises(UserError, match="choose --judge text"):
        endpoint(server, tmp_path, template="{user}{prefill}").weigh(
            [Weigh("judge", Prompt("ab", "cd"), "ef")]
        )
    assert len(server.bodies) == 1  # another try would get no more


def test_a_fault_of_all_requests_is_none_of_the_items(serve, tmp_path):
    """Else every problem would count as wrong, and nobody would see why."""
    refusal = 400, {"error": "temperature must be 1"}
    server = serve(lambda body, number: refusal if body["temperature"] == 0 else good(body))
    asked = endpoint(server, tmp_path)
    sampled, greedy = Sampling(9, 1.0), Sampling(9)
    asked.complete([Ask("plan", Prompt("q"), sampled, 4)])
    with pytest.raises(UserError, match="temperature must be 1"):
        asked.complete([Ask("execution", Prompt(f"q{n}"), greedy) for n in range(4)])
    mixed = [Ask("execution", Prompt("q"), greedy), Ask("plan", Prompt("q"), sampled, 4)]
    assert asked.complete(mixed)[0][0].error


def test_a_text_of_no_tokens_was_not_counted(serve, tmp_path):
    usage = {"prompt_tokens": 3, "completion_tokens": 0}
    server = serve(lambda body, number: (200, {"choices": [{"text": "abcde"}], "usage": usage}))
    ((found,),) = endpoint(server, tmp_path).complete(ASKS[1:])
    assert (found.tokens, found.estimated) == (2, True)


def test_a_server_that_counts_nothing_is_estimated(serve, tmp_path):
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    server = serve(lambda body, number: (200, {"choices": [{"text": "abcde"}], "usage": usage}))
    ((found,),) = endpoint(server, tmp_path).complete(
        [Ask("plan", Prompt("12345678"), Sampling(9))]
    )
    assert (found.tokens, found.prompt_tokens, found.estimated) == (2, 2, True)


@pytest.mark.parametrize(
    "given", ["nonsense", {"token_logprobs": "x"}, {"token_logprobs": [1, "y"]}, None, 7]
)
def test_log_probabilities_that_are_none_are_left_out_but_needed_by_weighing(
    serve, tmp_path, given
):
    choice = {"text": "x", "finish_reason": "stop", "logprobs": given}
    server = serve(
        lambda body, number: (
            200,
            {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        )
    )
    assert endpoint(server, tmp_path).complete(ASKS[1:])[0][0].logprob is None
    with pytest.raises(UserError, match="choose --judge text"):
        endpoint(server, tmp_path).weigh([Weigh("judge", Prompt("q"), "x")])


def test_the_key_is_sent_if_the_environment_has_one(serve, tmp_path, monkeypatch):
    server = serve(good)
    monkeypatch.setenv("SOME_KEY", "word")
    endpoint(server, tmp_path, key_variable="SOME_KEY").complete(ASKS[1:])
    endpoint(server, tmp_path, key_variable="NO_SUCH_KEY", cache=None).complete(ASKS[1:])
    assert [h.get("Authorization") for h in server.headers] == ["Bearer word", None]


def test_without_usage_tokens_are_counted_by_log_probabilities_or_estimated(serve, tmp_path):
    logprobs = {"token_logprobs": [-1.0, -1.0, -1.0]}
    server = serve(lambda body, number: (200, {"choices": [{"text": "ab", "logprobs": logprobs}]}))
    ((found,),) = endpoint(server, tmp_path).complete(ASKS[1:])
    assert (found.tokens, found.estimated) == (3, True)
    server = serve(lambda body, number: (200, {"choices": [{"text": "abcdefghi"}]}))
    ((found,),) = endpoint(server, tmp_path).complete(ASKS[1:])
    assert (found.tokens, found.estimated) == (3, True)  # nine characters


def test_no_content_at_the_limit_is_an_unfinished_answer(serve, tmp_path):
    reply = {
        "choices": [{"message": {"content": None}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 99},
    }
    server = serve(lambda body, number: (200, reply))
    ((found,),) = endpoint(server, tmp_path, api="chat").complete(ASKS[1:])
    assert (found.text, found.finished, found.tokens) == ("", False, 99)


@pytest.mark.parametrize(
    ("usage", "finished"),
    [
        ({"prompt_tokens": 3, "completion_tokens": ASKS[1].sampling.max_tokens - 1}, True),
        ({"prompt_tokens": 3, "completion_tokens": ASKS[1].sampling.max_tokens}, False),
        ({"prompt_tokens": 3}, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_without_a_reason_the_count_tells_whether_an_answer_ended(
    serve, tmp_path, usage, finished, named
):
    choice = {"text": "7"} | ({"finish_reason": None} if named else {})
    server = serve(lambda body, number: (200, {"choices": [choice], "usage": usage}))
    ((found,),) = endpoint(server, tmp_path).complete(ASKS[1:])
    assert found.finished is finished


def test_an_overlong_item_is_recorded_and_skipped(serve, tmp_path):
    long = {"error": "maximum context length is 8 tokens"}
    server = serve(
        lambda body, number: (400, long) if body["prompt"].startswith("q1") else good(body)
    )
    first, second = endpoint(server, tmp_path).complete(ASKS)
    assert all("context length" in c.error and not c.finished for c in first)
    assert second[0].tokens == 5 and second[0].error is None
    (alone,) = endpoint(server, tmp_path / "other").complete(ASKS[:1])  # also by itself
    assert alone[0].error


def test_an_item_too_long_for_a_server_that_breaks_at_it_is_skipped(serve, tmp_path):
    long = {"error": {"code": 500, "message": "the request exceeds the available context size"}}
    server = serve(
        lambda body, number: (500, long) if body["prompt"].startswith("q1") else good(body)
    )
    first, second = endpoint(server, tmp_path, retries=0).complete(ASKS)
    assert all("context size" in c.error for c in first) and second[0].error is None
    broken = serve(
        lambda body, number: (500, "oops") if body["prompt"].startswith("q1") else good(body)
    )
    with pytest.raises(UserError, match="status 500"):  # down or overloaded: later, all of them
        endpoint(broken, tmp_path / "other", retries=0).complete(ASKS)


FIELDS = {"model", "messages", "temperature", "top_p", "seed", "stop", "max_completion_tokens"}
FIELDS |= {"top_k", "min_p", "chat_template_kwargs"}


def test_a_strict_server_is_served(serve, tmp_path):
    """Unknown fields are refused, as is the older name of the limit; a question is too long, one
    gets no content, one no counts, and one waits as long as Retry-After says.
    """
    waited = []

    def strict(body, number):
        if "max_tokens" in body:
            text = "'max_tokens' is not supported: use 'max_completion_tokens' instead"
            return 400, {"error": {"message": text, "code": "unsupported_parameter"}}
        if unknown := set(body) - FIELDS:
            return 400, {"error": {"message": f"unknown fields {sorted(unknown)}"}}
        if body["chat_template_kwargs"] != {"enable_thinking": False} or body["min_p"] != 0.1:
            return 422, {"error": "extra"}
        user = body["messages"][0]["content"]
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        message, end = {"role": "assistant", "content": f"\\boxed{{{user[:1]}}}"}, "stop"
        if user.startswith("long"):
            return 400, {"error": {"code": "context_length_exceeded", "message": "too long"}}
        if user.startswith("busy") and not waited:
            waited.append(number)
            return 429, {"error": "slow down"}
        if user.startswith("think"):
            message, end = {"content": None, "reasoning_content": "hm"}, "length"
        reply = {"choices": [{"message": message, "finish_reason": end}]}
        return 200, reply if user.startswith("free") else reply | {"usage": usage}

    extra = '{"top_k": 20, "min_p": 0.1, "chat_template_kwargs": {"enable_thinking": false}}'
    asked = endpoint(serve(strict), tmp_path, api="chat", extra=extra, concurrency=1)
    asks = [
        Ask("chain", Prompt(user), Sampling(9))
        for user in ("1", "long", "think", "free", "busy", "2")
    ]
    found = [group[0] for group in asked.complete(asks)]
    assert [c.error is not None for c in found] == [False, True, False, False, False, False]
    assert [c.finished for c in found] == [True, False, False, True, True, True]
    assert [c.text[:7] for c in found] == ["\\boxed{", "", "", "\\boxed{", "\\boxed{", "\\boxed{"]
    assert [c.estimated for c in found] == [False, False, False, True, False, False]
    assert len(waited) == 1


def test_the_key_follows_no_redirect_and_no_message_repeats_it(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret-123456")
    server = serve(lambda body, number: (401, {"error": "wrong key sk-secret-123456"}))
    with pytest.raises(UserError) as refused:
        endpoint(server, tmp_path, key_variable="SOME_KEY").complete(ASKS[1:])
    assert "secret" not in str(refused.value)


def test_more_fields_are_sent(serve, tmp_path):
    server = serve(good)
    endpoint(server, tmp_path, extra='{"top_k": 20}').complete(ASKS[1:])
    assert server.bodies[0]["top_k"] == 20
