"""A bucket on this machine: the part of Google Cloud Storage's JSON interface that gcsfs,
google-cloud-storage and tensorstore use.

The real clients speak to it over HTTP, so what is tested is what runs on a real bucket, but for
credentials and network. Objects live in memory. Written after
https://cloud.google.com/storage/docs/json_api.
"""

import base64
import contextlib
import email
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

import google_crc32c


class Stored(NamedTuple):
    data: bytes
    generation: int


class Bucket:
    """Objects of one bucket, and the uploads under way."""

    def __init__(self, name: str):
        self.name, self.objects, self.uploads, self.lock = name, {}, {}, threading.Lock()
        self.numbers, self.writes, self.closed = itertools.count(1), [], False

    def put(self, key: str, data: bytes) -> Stored:
        with self.lock:
            self.objects[key] = Stored(data, next(self.numbers))
            self.writes.append(key)
            return self.objects[key]

    def about(self, key: str, base: str) -> dict:
        """The resource that describes an object."""
        stored = self.objects[key]
        checksum = base64.b64encode(google_crc32c.Checksum(stored.data).digest()).decode()
        return {
            "kind": "storage#object",
            "name": key,
            "bucket": self.name,
            "id": f"{self.name}/{key}",
            "size": str(len(stored.data)),
            "generation": str(stored.generation),
            "metageneration": "1",
            "crc32c": checksum,
            "contentType": "application/octet-stream",
            "timeCreated": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z",
            "storageClass": "STANDARD",
            "mediaLink": (
                f"{base}/download/storage/v1/b/{self.name}/o/{quote(key, safe='')}?alt=media"
            ),
        }

    def listing(self, query: dict, base: str) -> dict:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items, prefixes = [], set()
        for key in sorted(self.objects):
            if not key.startswith(prefix):
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                prefixes.add(prefix + head + delimiter)
            else:
                items.append(self.about(key, base))
        return {"kind": "storage#objects", "items": items, "prefixes": sorted(prefixes)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_):
        pass

    def answer(self, status: int, body: object = b"", headers: dict | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(
                ConnectionError
            ):  # clients cancel what they no longer want to know
                self.wfile.write(data)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    @property
    def base(self) -> str:
        return f"http://{self.headers['Host']}"

    def serve(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        match = re.fullmatch(
            r"(/upload|/download)?/storage/v1/b/([^/]+)(/o(?:/(.+))?)?/?", parts.path
        )
        body = self.body()
        if self.bucket.closed:
            return self.answer(
                403,
                {
                    "error": {
                        "code": 403,
                        "message": "the caller does not have storage.objects.list access",
                    }
                },
            )
        if parts.path.startswith("/batch"):
            return self.batch(body)
        if match is None or match[2] != self.bucket.name:
            return self.answer(404, {"error": {"code": 404, "message": "not found"}})
        where, _, below, key = match.groups()
        if where == "/upload":
            return self.upload(query, body)
        if below is None:
            return self.answer(
                200, {"kind": "storage#bucket", "name": self.bucket.name, "id": self.bucket.name}
            )
        if key is None:
            return self.answer(200, self.bucket.listing(query, self.base))
        status, answer, headers = self.on_object(self.command, key, query)
        return self.answer(status, answer, headers)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = serve

    def on_object(self, method: str, key: str, query: dict):
        copy = re.fullmatch(r"(.+)/(?:rewriteTo|copyTo)/b/[^/]+/o/(.+)", key)
        key = unquote(copy[1] if copy else key)
        stored = self.bucket.objects.get(key)
        if stored is None:
            return 404, {"error": {"code": 404, "message": f"no such object: {key}"}}, {}
        if copy:
            self.bucket.put(unquote(copy[2]), stored.data)
            about = self.bucket.about(unquote(copy[2]), self.base)
            return 200, {"kind": "storage#rewriteResponse", "done": True, "resource": about}, {}
        if method == "DELETE":
            with self.bucket.lock:
                self.bucket.objects.pop(key, None)
            return 204, b"", {}
        if query.get("alt") != "media":
            return 200, self.bucket.about(key, self.base), {}
        headers = {
            "Content-Type": "application/octet-stream",
            "x-goog-generation": str(stored.generation),
            "ETag": "x",
        }
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            return 200, stored.data, headers
        first, size = int(wanted[1]), len(stored.data)
        last = min(int(wanted[2] or size - 1), size - 1)
        if first >= size:
            return 416, b"", {}
        return (
            206,
            stored.data[first : last + 1],
            headers | {"Content-Range": f"bytes {first}-{last}/{size}"},
        )

    def upload(self, query: dict, body: bytes) -> None:
        kind = query.get("uploadType")
        if kind == "multipart":
            head = f"Content-Type: {self.headers['Content-Type']}\n\n".encode()
            about, content = email.message_from_bytes(head + body).get_payload()
            name, data = json.loads(about.get_payload())["name"], content.get_payload(decode=True)
        elif kind == "resumable" and "upload_id" not in query:
            number = str(next(self.bucket.numbers))
            self.bucket.uploads[number] = (query.get("name") or json.loads(body)["name"], b"")
            link = f"{self.base}{urlsplit(self.path).path}?uploadType=resumable&upload_id={number}"
            return self.answer(200, b"", {"Location": link})
        elif kind == "resumable":
            name, data = self.bucket.uploads[query["upload_id"]]
            data += body
            if self.headers.get("Content-Range", "").endswith("/*"):
                self.bucket.uploads[query["upload_id"]] = (name, data)
                return self.answer(308, b"", {"Range": f"bytes=0-{len(data) - 1}"})
        else:
            name, data = query["name"], body
        self.bucket.put(name, data)
        return self.answer(200, self.bucket.about(name, self.base))

    def batch(self, body: bytes) -> None:
        """Deletions only."""
        head = f"Content-Type: {self.headers['Content-Type']}\n\n".encode()
        answers = []
        for part in email.message_from_bytes(head + body).get_payload():
            method, path = part.get_payload().split()[:2]
            key = urlsplit(path).path.split("/o/", 1)[1]
            status, _, _ = self.on_object(method, key, {})
            number = part["Content-ID"].strip("<>")
            answers.append(
                "--end\r\nContent-Type: application/http\r\nContent-ID: "
                f"<response-{number}>\r\n\r\nHTTP/1.1 {status} OK\r\n\r\n\r\n"
            )
        text = "".join(answers) + "--end--\r\n"
        self.answer(200, text.encode(), {"Content-Type": "multipart/mixed; boundary=end"})


@contextlib.contextmanager
def bucket_on_this_machine(name: str = "bucket") -> Iterator[Bucket]:
    """A bucket that `gs://NAME` reaches, in this process and in children with its environment,
    until the block ends.
    """
    bucket = Bucket(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Handler,), {"bucket": bucket}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    settings = {
        "STORAGE_EMULATOR_HOST": address,
        "TENSORSTORE_GCS_HTTP_URL": address,
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",
        "GOOGLE_CLOUD_PROJECT": "none",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        yield bucket
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.__setitem__(key, value)
        server.shutdown()
        server.server_close()
