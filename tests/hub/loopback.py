"""A model hub on the loopback interface, of folders that a test makes; it may break every first download half-way, or
tag files with hashes that are not theirs. Who has its token may upload.
"""

import base64
import hashlib
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"  # of what is uploaded, and where none is asked for
API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")
TOKEN = "hf_thisTokenIsASecret"
UPLOAD = re.compile(r"/api/repos/create|/api/validate-yaml|/api/models/([^/]+/[^/]+)/(preupload|commit)/main")
LARGE = re.compile(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of the hub's clients that reading a repository, or writing to one, takes."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        path = urlsplit(self.path).path
        if UPLOAD.fullmatch(path) or LARGE.fullmatch(path):
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.answer(b'{"error": "Invalid username or password."}', 401)
            return self.answer(json.dumps(self.write(path, body)).encode())
        self.do_GET(json.loads(body)["paths"] if body.startswith("{") else re.findall("paths=([^&]*)", unquote(body)))

    def do_GET(self, paths: list[str] = []) -> None:  # noqa: B006
        url = urlsplit(self.path)
        if match := API.fullmatch(unquote(url.path)):
            kind, name, verb, revision, path = match.groups()
            folder = self.server.root / kind / name
            if folder.is_dir():
                found = self.describe(folder, name, verb, revision, path or "", paths, url.query)
                return self.answer(json.dumps(found).encode())
        elif match := FILE.fullmatch(unquote(url.path)):
            file = self.server.root / ("datasets" if match[1] else "models") / match[2] / match[4]
            if file.is_file():
                return self.send_file(file, self.server.other_files or match[3])
        return self.answer(b"{}", 404, {"X-Error-Code": "EntryNotFound"})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.large[hashlib.sha256(content).hexdigest()] = content
        self.answer(b"")

    def write(self, path: str, body: str):
        """One of the steps of an upload: a repository is made, each file's way is named, a commit is made."""
        endpoint = f"http://127.0.0.1:{self.server.server_port}"
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            (self.server.root / "models" / name).mkdir(parents=True, exist_ok=True)
            self.server.visibility[name] = wanted["visibility"]
            return {"url": f"{endpoint}/{name}"}
        if path == "/api/validate-yaml":
            return {}
        if LARGE.fullmatch(path):
            objects = json.loads(body)["objects"]
            links = {entry["oid"]: {"upload": {"href": f"{endpoint}/large/{entry['oid']}"}} for entry in objects}
            return {"objects": [{**entry, "actions": links[entry["oid"]]} for entry in objects]}
        name, step = UPLOAD.fullmatch(path).groups()
        if step == "preupload":
            files = [file["path"] for file in json.loads(body)["files"]]
            large = (".safetensors", ".onnx")
            modes = {file: "lfs" if file.endswith(large) else "regular" for file in files}
            return {"files": [{"path": file, "uploadMode": modes[file], "shouldIgnore": False} for file in files]}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] != "header":
                file = self.server.root / "models" / name / value["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                small = line["key"] == "file"
                file.write_bytes(base64.b64decode(value["content"]) if small else self.server.large[value["oid"]])
        return {"commitUrl": f"{endpoint}/{name}/commit/{COMMIT}", "commitOid": COMMIT}

    def describe(self, folder: Path, name: str, verb: str, revision: str, path: str, paths: list[str], query: str):
        """What the hub's API says of a repository, a folder in it, or some of its paths."""
        if verb in (None, "revision"):
            sha = self.server.other_commit or revision or COMMIT
            paths = [p for p in sorted(folder.rglob("*")) if p.is_file()]
            files = [{"rfilename": p.relative_to(folder).as_posix(), "size": p.stat().st_size} for p in paths]
            return {"id": name, "modelId": name, "sha": sha, "private": False, "tags": [], "siblings": files}
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

    def send_file(self, file: Path, commit: str) -> None:
        """Send a file or the range of it that is asked for; the tag is its sha256, as a large file's is."""
        content = file.read_bytes()
        tag = hashlib.sha256(content).hexdigest() if self.server.honest else "0" * 64
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
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
    """Serve ``root/{models,datasets}/owner/name`` as any commit that is asked for; yields the server and the
    environment that leads clients to it. Its ``other_commit`` and ``other_files`` are what it says in place of that.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.root, server.breaks, server.honest, server.broken = root, breaks, honest, set()
    server.large, server.visibility = {}, {}
    server.other_commit = server.other_files = None
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield (
            server,
            {
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(cache),
                "HF_HUB_DISABLE_XET": "1",
                "HF_TOKEN": TOKEN,
            },
        )
    finally:
        server.shutdown()
        server.server_close()
