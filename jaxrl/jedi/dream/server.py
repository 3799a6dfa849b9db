"""The local web page: aiohttp on 127.0.0.1, one websocket, one player at a time."""

import asyncio
import base64
import importlib.resources
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from jaxrl.app.errors import UserError
from jaxrl.jedi.dream.session import MOST_PASSES, DreamSession, View

FPS = 15
"""Imagined steps per second, if the machine keeps up."""


def web():
    """The aiohttp.web module.

    Raises:
      UserError: it is not installed.
    """
    try:
        from aiohttp import web
    except ImportError:
        raise UserError('the page needs aiohttp: pip install "latentax[play]"') from None
    return web


def png(frame) -> str:
    """A frame as a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def message(view: View, session: DreamSession) -> str:
    """A view as JSON for the page."""
    return json.dumps(
        {
            "type": "view",
            "frame": png(view.frame),
            "real": None if view.real is None else png(view.real),
            "action": view.action,
            "reward": view.reward,
            "end": view.end,
            "value": view.value,
            "total": view.total,
            "step": view.step,
            "real_total": view.real_total,
            "real_over": view.real_over,
            "policy": session.by_policy,
            "passes": session.passes,
            "with_real": session.with_real,
        }
    )


class Server:
    """Routes and the one seat. All work on the session happens in one thread, in order."""

    def __init__(self, session: DreamSession, title: str, fps: int = FPS):
        self.session, self.title, self.fps = session, title, fps
        self._taken, self._socket = False, None
        self._pool = ThreadPoolExecutor(1)
        self._action, self._paused = 0, False

    def app(self):
        """The aiohttp application."""
        app = web().Application()
        app.router.add_get("/", self.page)
        app.router.add_get("/play", self.play)
        app.router.add_get("/dream.gif", self.gif)
        app.on_shutdown.append(self.close)
        return app

    async def close(self, app) -> None:
        """Say goodbye to the open page, so that the server need not wait for it."""
        if self._socket is not None:
            await self._socket.close(code=1001, message=b"the server ends")

    def _refuse_strangers(self, request) -> None:
        # Without this check any web page that the person visits could connect to this port.
        host = request.headers.get("Host", "")
        if host.rsplit(":", 1)[0] not in ("127.0.0.1", "localhost"):
            raise web().HTTPForbidden(text="this page answers only to 127.0.0.1")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            raise web().HTTPForbidden(text="this page answers only to itself")

    async def page(self, request):
        """The page itself."""
        self._refuse_strangers(request)
        text = importlib.resources.files(__package__).joinpath("page.html").read_text("utf-8")
        return web().Response(text=text, content_type="text/html")

    async def gif(self, request):
        """The latest frames as a file to save."""
        self._refuse_strangers(request)
        body = await self._do(self.session.gif, self.fps)
        headers = {"Content-Disposition": 'attachment; filename="dream.gif"'}
        return web().Response(body=body, content_type="image/gif", headers=headers)

    async def _do(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def play(self, request):
        """The websocket: keys in, frames out, `fps` times a second."""
        self._refuse_strangers(request)
        socket = web().WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        if self._taken:
            await socket.send_json({"type": "taken"})
            await socket.close()
            return socket
        self._taken, self._socket = True, socket
        stepping = None
        try:
            session = self.session
            session.by_policy, self._action, self._paused = False, 0, False
            hello = {
                "type": "hello",
                "title": self.title,
                "actions": session.names,
                "fps": self.fps,
                "most_passes": MOST_PASSES,
            }
            await socket.send_json(hello)
            await socket.send_str(message(await self._do(session.reset), session))
            stepping = asyncio.create_task(self._steps(socket))
            async for incoming in socket:
                if incoming.type == web().WSMsgType.TEXT:
                    await self._handle(socket, incoming.data)
        finally:
            if stepping is not None:
                stepping.cancel()
            self._taken, self._socket = False, None
        return socket

    async def _steps(self, socket) -> None:
        while not socket.closed:
            began = time.monotonic()
            if not self._paused:
                view = await self._do(self.session.step, self._action)
                await socket.send_str(message(view, self.session))
            await asyncio.sleep(max(1 / self.fps - (time.monotonic() - began), 0.001))

    async def _handle(self, socket, data: str) -> None:
        """Do what one message of the page asks for; say what is wrong with one that is not
        understood.
        """
        session, view = self.session, None
        try:
            asked = json.loads(data)
            kind, value = asked["type"], asked.get("value")
            if kind == "action":
                if not 0 <= int(value) < len(session.names):
                    raise ValueError(f"there is no action {value}")
                self._action = int(value)
            elif kind == "policy":
                session.by_policy = bool(value)
            elif kind == "pause":
                self._paused = bool(value)
            elif kind == "reset":
                view = await self._do(session.reset)
            elif kind == "real":
                view = await self._do(session.set_real, bool(value))
            elif kind == "passes":
                view = await self._do(session.set_passes, int(value))
            else:
                raise ValueError(f"unknown request {kind!r}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            await socket.send_json({"type": "error", "text": str(error)})
        if view is not None:
            await socket.send_str(message(view, session))


SHUTDOWN = 2.0
"""Seconds that open pages get when the server is asked to end."""


def serve(session: DreamSession, title: str, port: int, fps: int = FPS) -> None:
    """Answer on http://127.0.0.1:port until Ctrl-C.

    Args:
      session: the imagined game to play.
      title: heading of the page.
      port: TCP port of this machine.
      fps: frames per second, of play and of the GIF that is saved.

    Raises:
      UserError: the port is taken, or aiohttp is missing.
    """
    server = Server(session, title, fps)
    try:
        web().run_app(
            server.app(),
            host="127.0.0.1",
            port=port,
            shutdown_timeout=SHUTDOWN,
            print=lambda *_: print(f"play at http://127.0.0.1:{port} (Ctrl-C ends)", flush=True),
        )
    except OSError as error:
        raise UserError(
            f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): choose another --port"
        ) from None
