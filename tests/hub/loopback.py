"""A model hub on the loopback interface, of folders that a test makes; it may break every first download half-way, or
tag files with hashes that are not theirs.
"""

import hashlib
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/[^/]+(?:/(.*))?)?")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)")


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of the hub's clients that reading a repository takes."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.do_GET(json.loads(body)["paths"] if body.startswith("{") else re.findall("paths=([^&]*)", unquote(body)))

    def do_GET(self, paths: list[str] = []) -> None:  # noqa: B006
        url = urlsplit(self.path)
        if match := API.fullmatch(unquote(url.path)):
            kind, name, verb, path = match.groups()
            folder = self.server.root / kind / name
            if folder.is_dir():
                return self.answer(json.dumps(self.describe(folder, name, verb, path or "", paths, url.query)).encode())
        elif match := FILE.fullmatch(unquote(url.path)):
            file = self.server.root / ("datasets" if match[1] else "models") / match[2] / match[3]
            if file.is_file():
                return self.send_file(file)
        return self.answer(b"{}", 404, {"X-Error-Code": "EntryNotFound"})

    def describe(self, folder: Path, name: str, verb: str, path: str, paths: list[str], query: str):
        """What the hub's API says of a repository, a folder in it, or some of its paths."""
        if verb in (None, "revision"):
            files = [{"rfilename": p.relative_to(folder).as_posix()} for p in sorted(folder.rglob("*")) if p.is_file()]
            return {"id": name, "modelId": name, "sha": COMMIT, "private": False, "tags": [], "siblings": files}
        if verb == "tree":
            found = (folder / path).rglob("*") if "recursive=true" in query.lower() else (folder / path).glob("*")
        else:
            found = (folder / p for p in paths)
        return [
            {
                "type": "directory" if p.is_dir() else "file",
                "oid": COMMIT,
                "size": p.stat().st_size,
                "path": p.relative_to(folder).as_posix(),
            }
            for p in sorted(found)
            if p.exists()
        ]

    def send_file(self, file: Path) -> None:
        """Send a file or the range of it that is asked for; the tag is its sha256, as a large file's is."""
        content = file.read_bytes()
        tag = hashlib.sha256(content).hexdigest() if self.server.honest else "0" * 64
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        status, whole = 200, len(content)
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(wanted[1]), min(int(wanted[2] or whole - 1), whole - 1)
            content, status = content[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{last}/{whole}"
        half = self.server.breaks and self.command == "GET" and file not in self.server.broken
        self.server.broken.add(file) if self.command == "GET" else None
        self.answer(content, status, headers, len(content) // 2 if half else None)

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] = {}, part: int | None = None) -> None:  # noqa: B006
        """Send a body, or only a part of it and then close."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:part])
        self.close_connection = part is not None


@contextmanager
def serving(root: Path, cache: Path, breaks: bool = False, honest: bool = True):
    """Serve ``root/{models,datasets}/owner/name``; yields the server and the environment that leads clients to it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.root, server.breaks, server.honest, server.broken = root, breaks, honest, set()
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield (
            server,
            {
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(cache),
                "HF_HUB_DISABLE_XET": "1",
                "HF_TOKEN": "hf_thisTokenIsASecret",
            },
        )
    finally:
        server.shutdown()
        server.server_close()
