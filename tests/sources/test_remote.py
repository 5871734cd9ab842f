"""Addresses instead of paths: read piece by piece through fsspec, with one-line failures and nothing secret told."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_bytes import NS, T0, packets, pcap

from wirecase.errors import InputError
from wirecase.sources import open_sources
from wirecase.sources.remote import is_remote, listed, public

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (pip install 'wirecase[remote]')")


@pytest.fixture
def memory() -> Iterator[None]:
    system = fsspec.filesystem("memory")
    for i, name in enumerate(("late", "early", "middle")):
        start = (T0 + (2, 0, 1)[i] * 100) * NS
        with system.open(f"/ring/{name}.pcap", "wb") as file:
            file.write(pcap(packets(3, start=start)))
    with system.open("/ring/notes.txt", "wb") as file:
        file.write(b"no capture\n")
    yield
    system.rm("/ring", recursive=True)


@pytest.mark.usefixtures("memory")
def test_one_file() -> None:
    (source,) = opened = open_sources(["memory://ring/early.pcap"])
    numbers = [batch.first_number for _, batch in opened.batches()]
    assert numbers == [1]
    data = pcap(packets(3, start=T0 * NS))
    assert (source.info.packets, source.info.bytes, source.info.format) == (3, len(data), "pcap")
    assert source.info.sha256 == hashlib.sha256(data).hexdigest()
    assert source.info.path == "memory://ring/early.pcap"


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("address", ["memory://ring/", "memory://ring/*"])
def test_folders_and_patterns(address: str) -> None:
    opened = open_sources([address])
    assert [source.path.rpartition("/")[2] for source in opened] == ["early.pcap", "middle.pcap", "late.pcap"]
    assert [source.index for source, _ in opened.batches()] == [0, 1, 2]
    assert len(opened.notes) == 1


@pytest.mark.usefixtures("memory")
def test_what_is_not_there() -> None:
    with pytest.raises(InputError) as caught:
        open_sources(["memory://ring/none.pcap"])
    assert str(caught.value) == (
        "memory://ring/none.pcap: cannot be opened: no such file (a folder's address ends with /)"
    )


@pytest.mark.parametrize("address", ["nosuchscheme://a/b", "s3a+x://b", "://", "memory://", "https://"])
def test_odd_addresses_are_one_line(address: str) -> None:
    with pytest.raises(InputError) as caught:
        open_sources([address])
    assert "\n" not in str(caught.value)


def test_without_fsspec_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from wirecase.sources import open_sources\n"
        "from wirecase.errors import InputError\n"
        "try: open_sources(['s3://bucket/a.pcap?X-Amz-Signature=secret'])\n"
        "except InputError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout == "s3://bucket/a.pcap: remote captures need fsspec: pip install 'wirecase[remote]'\n"


def test_a_local_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory:" / "x").mkdir(parents=True)
    (tmp_path / "memory:" / "x" / "a").write_bytes(pcap(packets(2)))
    (source,) = opened = open_sources(["memory://x/a"])
    list(opened.batches())
    assert source.info.packets == 2


def test_secrets_are_not_told() -> None:
    assert public("https://me:word@host:8443/a/b.pcap?sig=1#x") == "https://host:8443/a/b.pcap"
    assert public("s3://bucket/key") == "s3://bucket/key"
    assert public("plain/path?x") == "plain/path?x"
    assert is_remote("zip://a.pcap::https://host/a.zip")
    assert not is_remote("C:\\a") and not is_remote("a/b://c")
    assert listed("s3://bucket/a.pcap") is None


class _Ranges(http.server.BaseHTTPRequestHandler):
    body = b""
    asked: list[str]

    def _answer(self) -> None:
        wanted = self.headers.get("Range")
        first, last = 0, len(self.body) - 1
        if wanted:
            low, _, high = wanted.partition("=")[2].partition("-")
            first, last = int(low), min(int(high or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.body)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if self.command == "GET":
            self.asked.append(f"{first}-{last}")
            self.wfile.write(self.body[first : last + 1])

    do_GET = do_HEAD = _answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    handler = type("Handler", (_Ranges,), {"body": pcap(packets(3000)), "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def test_over_http(server: http.server.ThreadingHTTPServer) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (pip install 'wirecase[remote]')")
    handler = server.RequestHandlerClass
    (source,) = opened = open_sources([f"http://127.0.0.1:{server.server_port}/a.pcap?token=secret"])
    assert sum(len(batch.starts) for _, batch in opened.batches()) == 3000
    assert source.info.sha256 == hashlib.sha256(handler.body).hexdigest()  # type: ignore[attr-defined]
    assert source.info.path == f"http://127.0.0.1:{server.server_port}/a.pcap"
    with pytest.raises(InputError) as caught:
        open_sources(["http://127.0.0.1:1/a.pcap?token=secret"])
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_libraries_do_not_talk_in_between() -> None:
    program = (
        "import logging; from wirecase.sources.remote import listed; listed('memory://nothing*');"
        "logging.getLogger('gcsfs.retry').warning('noise'); logging.getLogger('other').warning('heard')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "heard\n"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server that speaks S3's protocol, with two captures in it."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed (pip install 'moto[server]')")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (pip install 'wirecase[remote]')")
    served = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "anyone", "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(endpoint_url=environment["AWS_ENDPOINT_URL"])
    system.mkdir("captures")
    for i, name in enumerate(("late", "early")):
        with system.open(f"captures/ring/{name}.pcap", "wb") as file:
            file.write(pcap(packets(3, start=(T0 + (1, 0)[i] * 100) * NS)))
    yield "s3://captures"
    s3fs.S3FileSystem.clear_instance_cache()
    served.stop()


def test_over_s3(bucket: str) -> None:
    opened = open_sources([f"{bucket}/ring/"])
    assert [batch.first_number for _, batch in opened.batches()] == [1, 1]
    assert [source.info.path for source in opened.sources] == [f"{bucket}/ring/early.pcap", f"{bucket}/ring/late.pcap"]
    assert [source.info.packets for source in opened.sources] == [3, 3]
    with pytest.raises(InputError, match=r"s3://captures/none\.pcap: cannot be opened: no such file"):
        open_sources([f"{bucket}/none.pcap"])
