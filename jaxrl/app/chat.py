"""Client of OpenAI-compatible servers: retried, cached on disk, several requests at a time, and
careful with keys.

Requests go to the host that was named and nowhere else: redirects are failures. Keys and passwords
are masked in every message, cache file and reply; addresses are shown without user, password and
query. Certificates are verified. A request has one deadline, however its reply arrives.
"""

import asyncio
import base64
import concurrent.futures
import contextlib
import email.utils
import hashlib
import ipaddress
import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic

RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""
UNREADABLE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Errors of reading a reply that is no completion: other JSON, infinite counts, endless nesting."""
FINISHED = ("stop", "eos", "eos_token", "end_turn", "stop_sequence")
"""Reasons by which servers say that a completion came to its end."""
MAX_REPLY_BYTES = 64 << 20
"""A longer reply is refused while it arrives."""
READ_FOR_MESSAGES = 1 << 16
"""Bytes of a reply that are searched for secrets before its beginning is shown."""
UNFINISHED = ("length", "content_filter", "tool_calls", "function_call")
"""Reasons by which servers say that a completion ended early, maybe without any text."""
SECRET_NAME = re.compile(
    r"key$|token$|secret|passw|^auth$|authorization|credential|^sig|^code$", re.IGNORECASE
)
"""Names of fields whose values are not shown."""
LONG_SECRET = 12
"""Characters of a secret that is found in other spellings too; shorter ones may be words."""
PATIENCE = 600.0
"""Seconds; a server that asks to wait longer (Retry-After) is not waited for."""


@dataclass(frozen=True)
class ChatConfig:
    """Address of the server, and settings of the requests."""

    base_url: str = "http://localhost:8000/v1"
    """Address of the API; /chat/completions or /completions is added."""
    model: str = "default"
    """The server's name of the model."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key; empty or unset: none is sent."""
    allow_remote: bool = True
    """Allow another host than this machine."""
    timeout: float = 600.0
    """Seconds until a request counts as failed."""
    retries: int = 5
    """Further attempts, after pauses of 1, 2, 4, ... times `pause`, or as long as the server asks.
    """
    pause: float = 1.0
    """Seconds before the second attempt."""
    concurrency: int = 16
    """Requests at a time."""
    cache: str | None = None
    """Folder of replies: a request that was answered is never sent again. None: no cache."""
    token_limit: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    """Name of the limit in requests; auto: max_tokens, until the server asks for the other one."""
    extra: str = "{}"
    """More fields of every request, as a JSON object, for example {"top_k": 20,
    "chat_template_kwargs": {"enable_thinking": false}}; null leaves a field out that the server
    does not know, as in {"logprobs": null}.
    """


class NoAnswer(UserError):
    """The server did not answer, or not with a completion, in all attempts."""


class Rejected(UserError):
    """The server refused a request; the same request would be refused again."""


class Reply(NamedTuple):
    """One completion."""

    text: str
    """Empty if it ended before any text: at the limit, as with models that think first, or by a
    filter.
    """
    finished: bool
    """False if the limit of tokens, or a filter, ended it."""
    finish_reason: str | None
    prompt_tokens: int | None
    """None if the server does not count."""
    completion_tokens: int | None
    raw: dict[str, Any]
    """The whole reply."""


def is_this_machine(url: str) -> bool:
    """True for an address of the loopback device."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


class Client:
    """Sends requests to one server. Threads may share it."""

    def __init__(self, config: ChatConfig):
        """Check the address; nothing is sent yet.

        Raises:
          UserError: no http address; another host without `allow_remote`; a key that would travel
            unencrypted; or `extra` is no JSON object.
        """
        self.config = config
        try:
            parts = urlsplit(config.base_url)
            port = parts.port
        except ValueError:  # its text may hold a piece of a password
            raise UserError(
                "the server's address is no http address (signs of a password must be "
                "percent-encoded): set --base-url"
            ) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"{shown_address(config.base_url)} is no http address of a server: set --base-url"
            )
        if config.key_variable and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", config.key_variable):
            raise UserError(
                "--key-variable names no environment variable (a key itself does not belong on a "
                "command line): give the name of a variable that holds it"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.url = urlunsplit(
            (
                parts.scheme,
                host + (f":{port}" if port else ""),
                parts.path.rstrip("/"),
                parts.query,
                "",
            )
        )
        """The address without user and password."""
        self.shown = shown_address(self.url)
        """The address in messages: without its query, too."""
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._user = (user, password) if user or password else None
        self._key = os.environ.get(config.key_variable, "").strip() if config.key_variable else ""
        self.local = is_this_machine(self.url)
        if not self.local and not config.allow_remote:
            raise UserError(
                f"{self.shown} is not on this machine: use a local server, or allow remote ones if "
                "the data may be sent there"
            )
        if not self.local and parts.scheme == "http" and (self._key or self._user):
            secret = (
                f"the key in {config.key_variable}"
                if self._key and not self._user
                else "the password"
            )
            raise UserError(
                f"{self.shown} would receive {secret} unencrypted: use https, or no key (an empty "
                "--key-variable)"
            )
        if self._key and not (self._key.isascii() and self._key.isprintable()):
            raise UserError(f"{config.key_variable} holds characters that no key has: set it again")
        try:
            self.extra = json.loads(config.extra or "{}")
        except ValueError as error:  # not repeated, since a key may be in it
            raise UserError(
                f"the extra fields of requests are no JSON ({error}): quote them as in "
                """--extra '{"top_k": 20}'"""
            ) from None
        if not isinstance(self.extra, dict):
            raise UserError(
                f"the extra fields of requests must be a JSON object, not a {_kind(self.extra)}"
            )
        self._secrets = self._all_secrets(parts.query)
        self.requests = 0
        """Sent so far, retries included."""
        self._limit_name = "max_tokens" if config.token_limit == "auto" else config.token_limit
        self._http: Any = None
        self._lock = threading.Lock()
        self._running: set[concurrent.futures.Future] = set()
        self._stopped = threading.Event()

    def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(http.aclose(), _loop()).result(5)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    # Secrets

    def _all_secrets(self, query: str) -> "list[_Secret]":
        """The key, the password, and values of secret fields in `extra` and in the address."""
        found = {self._key}
        if self._user:
            found |= {self._user[1], base64.b64encode(":".join(self._user).encode()).decode()}
        named = [*parse_qsl(query), *_texts(self.extra)]
        found |= {value for name, value in named if SECRET_NAME.search(name)}
        return [_Secret(text) for text in sorted(filter(None, found), key=len, reverse=True)]

    def mask(self, text: str) -> str:
        """Replace the key, the password and anything that looks like a bearer token by "***"."""
        for secret in self._secrets:
            text = secret.hidden(text)
        text = re.sub(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", r"\1 ***", text)
        text = re.sub(r"\b(sk|pk|hf|xai|gsk)[-_][A-Za-z0-9_-]{8,}", "***", text)
        return re.sub(r"(?<=://)[^/\s@]+@", "", text)

    def _masked(self, value: Any) -> Any:
        """The same for every text of a reply, but only for what is known to be secret: completions
        are left alone.
        """
        if isinstance(value, str):
            for secret in self._secrets:
                if len(secret.text) >= 6:
                    value = secret.hidden(value)
            return value
        if isinstance(value, dict):
            return {self._masked(name): self._masked(inner) for name, inner in value.items()}
        return [self._masked(inner) for inner in value] if isinstance(value, list) else value

    # Requests

    def chat(
        self, messages: Sequence[Mapping[str, Any]], max_tokens: int | None = None, **fields: Any
    ) -> Reply:
        """Ask for one answer to a conversation.

        Args:
          messages: as the API takes them.
          max_tokens: limit of new tokens.
          **fields: temperature, top_p, seed, stop, ...

        Raises:
          UserError: see `ask`.
        """
        body = {"model": self.config.model, "messages": list(messages), **fields}
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return reply_of(self.ask("chat", body, reply_of))

    def complete(self, prompt: str, max_tokens: int | None = None, **fields: Any) -> Reply:
        """Continue a raw text; see `chat`."""
        body = {"model": self.config.model, "prompt": prompt, **fields}
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        return reply_of(self.ask("completions", body, reply_of))

    def ask(
        self,
        api: Literal["chat", "completions"],
        body: Mapping[str, Any],
        check: Callable[[Any], Any] = lambda reply: reply,
    ) -> dict[str, Any]:
        """Send a request, or find its reply in the cache.

        Args:
          api: chat or completions.
          body: of the request; `extra` is added.
          check: raises ValueError, KeyError, IndexError or TypeError for a reply that cannot be
            used; it is then asked for again. A UserError ends the request.

        Returns:
          The whole reply.

        Raises:
          Rejected: the server refuses the request, or answers with a redirect.
          NoAnswer: nothing usable came in all attempts.
        """
        full = {name: value for name, value in {**body, **self.extra}.items() if value is not None}
        file = self._file(api, full)
        if file is not None:
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
                check(found)
                return found
            except FileNotFoundError:
                pass
            except (*UNREADABLE, UserError):
                file.unlink(missing_ok=True)  # damaged, or of an earlier version
        reply = self._masked(self._ask_until_answered(api, full, check))
        if file is not None:
            with writing(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(PermissionError):  # the folder belongs to somebody else
                    file.parent.chmod(0o700)
            write_atomic(file, json.dumps(reply), mode=0o600)
        return reply

    def ask_all(
        self,
        api: Literal["chat", "completions"],
        bodies: Sequence[Mapping[str, Any]],
        check: Callable[[Any], Any] = lambda reply: reply,
    ) -> list[dict[str, Any] | UserError]:
        """Send many requests, `concurrency` at a time; one that fails does not stop the others.

        Returns:
          In order, the reply or the `UserError` of each.
        """

        def one(body: Mapping[str, Any]) -> dict[str, Any] | UserError:
            try:
                return self.ask(api, body, check)
            except UserError as error:
                return error

        try:
            with ThreadPoolExecutor(max(1, self.config.concurrency)) as pool:
                try:
                    return list(pool.map(one, bodies))
                except BaseException:  # Ctrl-C: the others may take minutes, and are not waited for
                    self._stopped.set()
                    for future in list(self._running):
                        future.cancel()
                    raise
        finally:
            self._stopped.clear()

    def _file(self, api: str, body: Mapping[str, Any]) -> Path | None:
        if self.config.cache is None:
            return None
        named = json.dumps([self.url, api, body], sort_keys=True)
        digest = hashlib.sha256(named.encode()).hexdigest()
        return Path(self.config.cache) / digest[:2] / f"{digest}.json"

    def _ask_until_answered(
        self, api: str, body: Mapping[str, Any], check: Callable[[Any], Any]
    ) -> dict[str, Any]:
        import httpx

        reason, wait, attempt = "", 0.0, 0
        for attempt in range(self.config.retries + 1):
            if attempt:
                pause = self.config.pause * 2 ** (attempt - 1) * (1 + 0.1 * random.random())
                if self._stopped.wait(max(wait, pause)):
                    raise concurrent.futures.CancelledError
                wait = 0.0
            try:
                limited = self._limited(body)
                status, headers, data = self._send(api, limited)
                if status == 400 and self._other_limit(data, limited):
                    status, headers, data = self._send(api, self._limited(body))
            except (httpx.InvalidURL, UnicodeError):
                raise Rejected(f"{self.shown} is no address of a host: set --base-url") from None
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                continue
            except TimeoutError:
                reason = f"timed out: no whole reply within {self.config.timeout:g} s"
                continue
            except _TooLong:
                reason = f"a reply of more than {MAX_REPLY_BYTES >> 20} MiB"
                continue
            if 300 <= status < 400:
                raise Rejected(
                    f"{self.shown} redirects elsewhere (status {status}), and redirects are not "
                    "followed because they could carry data and key to another host: set "
                    "--base-url to the final address"
                )
            if status != 200:
                reason = f"status {status}: {self._said(data)}".strip()
                if status not in RETRIED:
                    raise Rejected(
                        f"{self.shown} refuses the request ({reason}): check address, model, key "
                        "and options"
                    )
                wait = _retry_after(headers.get("retry-after"))
                if wait > PATIENCE:
                    raise NoAnswer(
                        f"{self.shown} asks to wait {wait:.0f} s ({reason}): run the same command "
                        "again later"
                    )
                continue
            try:
                reply = json.loads(data)
                check(reply)
                if not isinstance(reply, dict):
                    raise TypeError("no JSON object")
                return reply
            except UNREADABLE as error:
                said = self._said(data)
                reason = f"a reply that is no completion ({type(error).__name__}: {error}): {said}"
        raise NoAnswer(
            f"the server at {self.shown} did not answer ({self.mask(reason)}, {attempt + 1} "
            "attempts): check that it runs and --base-url, then run the same command again to "
            "continue"
        )

    def _said(self, data: bytes) -> str:
        """The beginning of a reply as one line, for messages; masked before it is cut, since a cut
        through a key would leave its beginning.
        """
        text = self.mask(data[:READ_FOR_MESSAGES].decode(errors="replace"))[:300]
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())

    def _limited(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request with its limit of tokens under the name that the server wants."""
        body = dict(body)
        if "max_tokens" in body and self._limit_name != "max_tokens" and "messages" in body:
            body[self._limit_name] = body.pop("max_tokens")
        return body

    def _other_limit(self, data: bytes, sent: Mapping[str, Any]) -> bool:
        """Switch to max_completion_tokens if that is what the server asks for; True if the request
        should be sent again, also where another thread has switched since it was sent.
        """
        asked = b"max_completion_tokens" in data and b"max_tokens" in data
        if self.config.token_limit != "auto" or "max_tokens" not in sent or not asked:
            return False
        self._limit_name = "max_completion_tokens"
        return True

    def _send(self, api: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        path = "/completions" if api == "completions" else "/chat/completions"
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        content = json.dumps(body).encode()  # of escapes: half a character is no UTF-8
        if self._key and self._user is None:
            headers["Authorization"] = f"Bearer {self._key}"
        base, _, query = self.url.partition("?")
        url = base.rstrip("/") + path + (f"?{query}" if query else "")
        with self._lock:
            self.requests += 1
            if self._http is None:
                self._http = self._connect()
        asked = asyncio.run_coroutine_threadsafe(
            _received(self._http, url, content, headers, self.config.timeout), _loop()
        )
        self._running.add(asked)
        try:
            if self._stopped.is_set():
                raise concurrent.futures.CancelledError
            return asked.result()
        except BaseException:
            asked.cancel()
            raise
        finally:
            self._running.discard(asked)

    def _connect(self):
        import httpx

        # Proxies of the environment are for other hosts; a request to this machine must not pass
        # through one. The deadline is one of the whole request; those of httpx are between two
        # bytes, and a server that sends a byte at a time would never meet them.
        limits = httpx.Limits(max_connections=max(1, self.config.concurrency))
        return httpx.AsyncClient(
            timeout=None,
            follow_redirects=False,
            verify=True,
            trust_env=not self.local,
            auth=self._user,
            limits=limits,
        )


async def _received(
    http: Any, url: str, content: bytes, headers: Mapping[str, str], seconds: float
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and data of one reply, all of it within `seconds`.

    Args:
      http: the `httpx.AsyncClient`.
      url: full address.
      content: the request's body.
      headers: of the request.
      seconds: the deadline.

    Raises:
      TimeoutError: the deadline passed.
      _TooLong: the reply has more than MAX_REPLY_BYTES.
    """
    data = bytearray()
    async with asyncio.timeout(seconds):
        async with http.stream("POST", url, content=content, headers=headers) as reply:
            async for part in reply.aiter_bytes():
                data += part
                if len(data) > MAX_REPLY_BYTES:
                    raise _TooLong
            return reply.status_code, reply.headers, bytes(data)


_LOOPS: dict[int, asyncio.AbstractEventLoop] = {}
"""The event loop of this process, in a thread of its own; a process that was forked gets another.
"""
_LOOPS_LOCK = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    with _LOOPS_LOCK:
        found = _LOOPS.get(os.getpid())
        if found is None:
            found = _LOOPS[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=found.run_forever, daemon=True).start()
        return found


class _Secret:
    """A text that must not be shown, and the spellings in which a server may repeat it."""

    def __init__(self, text: str):
        self.text = text
        spellings = [re.escape(text), re.escape(quote(text, safe="")), re.escape(quote(text))]
        spellings.append(re.escape(text.replace("/", r"\/")))
        if len(text) >= LONG_SECRET:  # broken by blanks or commas, escaped, in the other case
            between = r"(?:\\[nrt]|[ \t\n\r\v\f\x1c-\x1f\x85\xa0\"',])*"
            spellings.append(
                between.join(
                    rf"(?:\\?{re.escape(c)}|\\u{ord(c):04x}|%{ord(c):02x}|&#x?0*(?:{ord(c)}|{ord(c):x});)"
                    for c in text
                )
            )
            data = text.encode()
            spellings += [data.hex(), re.escape(base64.b64encode(data).decode().rstrip("="))]
        self._pattern = re.compile(
            "|".join(spellings), re.IGNORECASE if len(text) >= LONG_SECRET else 0
        )

    def hidden(self, text: str) -> str:
        """The text with "***" in the secret's place."""
        return self._pattern.sub("***", text) if self._may_be_in(text) else text

    def _may_be_in(self, text: str) -> bool:
        """False only if the secret is in no spelling in a text; a hundred times as fast as the
        pattern, since replies may have megabytes.
        """
        if len(self.text) < LONG_SECRET:
            return True
        low = text.lower()
        if any(mark in low for mark in ("\\u00", "&#")) or re.search("%[0-9a-f]{2}", low):
            return True
        data = self.text.encode()
        others = (data.hex(), base64.b64encode(data).decode().rstrip("=").lower())
        return _squeezed(self.text.lower()) in _squeezed(low) or any(o in low for o in others)


_BETWEEN = str.maketrans("", "", " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\"',\\")
"""Signs that may stand between the characters of a secret."""


def _squeezed(text: str) -> str:
    for escape in ("\\n", "\\r", "\\t"):
        text = text.replace(escape, "")
    return text.translate(_BETWEEN)


def _texts(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All texts of nested fields, with the names that they stand under."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _texts(value)
        elif isinstance(value, str):
            yield name, value


def _kind(value: Any) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(
        type(value), "number"
    )


class _TooLong(Exception):
    pass


def shown_address(url: str) -> str:
    """An address for messages: without user, password, query and fragment, where keys may be."""
    return re.sub(r"(?<=://)[^/\s]*@", "", re.split("[?#]", url)[0])


def _retry_after(value: str | None) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 if it has no meaning."""
    if not value:
        return 0.0
    with contextlib.suppress(ValueError):
        seconds = float(value)
        return seconds if 0 <= seconds < float("inf") else 0.0
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def reply_of(raw: Any) -> Reply:
    """Read a reply of either API.

    Raises:
      one of `UNREADABLE`: it is no completion.
    """
    choice = raw["choices"][0]
    reason = choice.get("finish_reason")
    text = choice["message"].get("content") if "message" in choice else choice["text"]
    if isinstance(text, list):  # parts, as some servers send them
        text = "".join(part.get("text") or "" for part in text)
    if text is None and reason in UNFINISHED:
        text = ""  # all tokens went into thinking, or a filter ended it
    if not isinstance(text, str):
        raise ValueError(f"its answer holds no text but {text!r:.200}, finish_reason {reason!r}")
    usage = raw.get("usage") or {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    counts = [
        int(count)
        if isinstance(count, int | float) and not isinstance(count, bool) and 0 <= count < 1e15
        else None
        for count in counts
    ]
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a character cannot be written
    return Reply(text, reason in FINISHED, reason, counts[0], counts[1], raw)
