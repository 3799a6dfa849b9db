"""The page's server: one seat, only this machine, every request answered."""

import asyncio
import json

import numpy as np
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer

from jaxrl.jedi.dream.server import Server
from jaxrl.jedi.dream.session import View


class FakeSession:
    """Counts, instead of imagining."""

    def __init__(self):
        self.names, self.by_policy, self.passes, self.with_real = ("noop", "up"), False, 3, False
        self.asked, self.number = [], 0

    def _view(self):
        frame = np.full((4, 4, 3), self.number % 256, np.uint8)
        return View(frame, None, "noop", 0.0, 0.0, 0.0, 0.0, self.number, 0.0, False)

    def step(self, action):
        self.number += 1
        self.asked.append(action)
        return self._view()

    def reset(self):
        self.number = 0
        return self._view()

    def set_passes(self, passes):
        if passes > 12:
            raise ValueError("denoising passes must be 1 to 12")
        self.passes = passes
        return self.reset()

    def gif(self, fps):
        return b"GIF89a"


def with_client(check):
    """Run `check(client, session)` against a live server on 127.0.0.1."""

    async def run():
        session = FakeSession()
        async with TestClient(TestServer(Server(session, "title", fps=60).app())) as client:
            await check(client, session)

    asyncio.run(run())


async def until(socket, good):
    """The first message for which `good` holds."""
    for _ in range(1000):
        message = await socket.receive()
        assert message.type == WSMsgType.TEXT, message
        found = json.loads(message.data)
        if good(found):
            return found
    raise AssertionError("no such message among a thousand")


def test_keys_steer_and_frames_come():
    async def check(client, session):
        async with client.ws_connect("/play") as socket:
            hello = await until(socket, lambda m: m["type"] == "hello")
            assert hello["actions"] == ["noop", "up"]
            await socket.send_json({"type": "action", "value": 1})
            first = await until(socket, lambda m: m["type"] == "view" and m["step"] > 3)
            assert first["frame"].startswith("data:image/png;base64,")
            await until(socket, lambda m: m["type"] == "view" and m["step"] > first["step"] + 3)
            assert session.asked[-1] == 1

    with_client(check)


def test_a_second_tab_is_told_and_a_later_one_gets_the_seat():
    async def check(client, session):
        async with client.ws_connect("/play") as first:
            await until(first, lambda m: m["type"] == "hello")
            async with client.ws_connect("/play") as second:
                assert (await second.receive_json())["type"] == "taken"
            await until(first, lambda m: m["type"] == "view" and m["step"] > 2)
        for _ in range(50):  # the server learns of the closed tab soon, not at once
            async with client.ws_connect("/play") as third:
                if (await third.receive_json())["type"] == "hello":
                    return
            await asyncio.sleep(0.1)
        raise AssertionError("the seat was never free again")

    with_client(check)


def test_pause_reset_passes_and_policy():
    async def check(client, session):
        async with client.ws_connect("/play") as socket:
            await until(socket, lambda m: m["type"] == "view" and m["step"] > 2)
            await socket.send_json({"type": "passes", "value": 1})
            await until(socket, lambda m: m["type"] == "view" and m["passes"] == 1)
            await socket.send_json({"type": "policy", "value": True})
            await until(socket, lambda m: m["type"] == "view" and m["policy"])
            await socket.send_json({"type": "pause", "value": True})
            await asyncio.sleep(0.2)
            held = session.number
            await asyncio.sleep(0.3)
            assert session.number == held
            await socket.send_json({"type": "reset"})
            await until(socket, lambda m: m["type"] == "view" and m["step"] == 0)

    with_client(check)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"type": "dance"}',
        '{"type": "action", "value": 7}',
        '{"type": "passes", "value": 99}',
    ],
)
def test_nonsense_is_answered_and_the_game_goes_on(text):
    async def check(client, session):
        async with client.ws_connect("/play") as socket:
            await until(socket, lambda m: m["type"] == "hello")
            await socket.send_str(text)
            assert (await until(socket, lambda m: m["type"] == "error"))["text"]
            now = session.number
            await until(socket, lambda m: m["type"] == "view" and m["step"] > now)

    with_client(check)


def test_other_sites_and_other_names_are_refused():
    async def check(client, session):
        assert (await client.get("/")).status == 200
        assert (await client.get("/", headers={"Host": "evil.example:80"})).status == 403
        for path in ("/play", "/dream.gif"):
            answer = await client.get(path, headers={"Origin": "http://evil.example"})
            assert answer.status == 403
        assert (await client.get("/dream.gif")).content_type == "image/gif"

    with_client(check)


def test_an_open_page_does_not_keep_the_server_from_ending():
    async def check(client, session):
        async with client.ws_connect("/play") as socket:
            await until(socket, lambda m: m["type"] == "hello")
            await client.server.close()
            kinds = [(await socket.receive()).type for _ in range(100)]
            assert WSMsgType.CLOSED in kinds  # the server closed it, it did not wait for the page

    with_client(check)
