"""Probes of live servers on loopback: good ones, bad ones, and those that are something else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from live_servers import H2Server, grpc_answer, page, serving

from wirecase.probing import Check, Probe, Request, probe
from wirecase.probing.services import HEALTH
from wirecase.replay.caller.address import Tls, look_up
from wirecase.replay.tls import Tls as ServerTls


def look(port: int, **options: Any) -> Probe:
    options.setdefault("timeout", 3.0)
    options.setdefault("grpcio", False)
    found, recorder = probe(Request(look_up(f"127.0.0.1:{port}"), **options))
    recorder.discard()
    return found


def checks(found: Probe) -> dict[str, Check]:
    return {one.id: one for one in found.checks}


def states(found: Probe) -> dict[str, str]:
    return {one.id: one.state for one in found.checks}


@contextlib.contextmanager
def grpcio_server(**options: Any) -> Iterator[int]:
    """A real server with an echo, health and reflection."""
    grpc = pytest.importorskip("grpc")
    from concurrent import futures

    def same(data: bytes) -> bytes:
        return data

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            if details.method == "/demo.Echo/Unary":
                return grpc.unary_unary_rpc_method_handler(lambda request, _: request, same, same)
            if details.method == "/demo.Echo/Fail":
                return grpc.unary_unary_rpc_method_handler(
                    lambda _, context: context.abort(grpc.StatusCode.INTERNAL, "broken"), same, same
                )
            if details.method == "/demo.Echo/Slow":
                return grpc.unary_unary_rpc_method_handler(lambda *_: time.sleep(2) or b"", same, same)
            if details.method == HEALTH:
                return grpc.unary_unary_rpc_method_handler(lambda *_: bytes((8, options.get("health", 1))), same, same)
            if details.method == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo":
                listed = b"\x32\x0d\x0a\x0b\x0a\x09demo.Echo"
                return grpc.stream_stream_rpc_method_handler(lambda asked, _: (listed for _ in asked), same, same)
            return None

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


class TestGrpcio:
    def test_a_good_server(self) -> None:
        with grpcio_server() as port:
            found = look(port, method="/demo.Echo/Unary", data=b"\x0a\x01a", grpcio=True)
        assert found.status == 0, [(one.id, one.text) for one in found.checks if one.state == "bad"]
        told = checks(found)
        assert told["health"].text == "SERVING"
        assert found.services == ["demo.Echo"]
        assert told["reflection"].text.startswith("v1alpha: demo.Echo")
        assert told["unknown-method"].text.startswith("UNIMPLEMENTED")
        assert told["call"].text == "OK, 1 message (3 bytes)"
        assert told["grpcio-call"].text == "OK, 1 message (3 bytes)"
        assert "INITIAL_WINDOW_SIZE" in found.settings
        assert not found.counted

    def test_not_serving_and_a_failing_method(self) -> None:
        with grpcio_server(health=2) as port:
            found = look(port, method="/demo.Echo/Fail", grpcio=True)
        assert found.status == 1
        told = checks(found)
        assert (told["health"].state, told["health"].text) == ("bad", "NOT_SERVING")
        assert told["call"].text == told["grpcio-call"].text == "INTERNAL: broken"

    def test_a_method_that_takes_too_long_is_untold(self) -> None:
        with grpcio_server() as port:
            found = look(port, method="/demo.Echo/Slow", timeout=0.5)
        assert states(found)["call"] in ("untold", "bad")  # the server's own deadline may answer first
        assert found.status in (1, 4)

    def test_too_many_pings(self) -> None:
        with grpcio_server() as port:
            found = look(port, hold=4.0, every=0.2)
        held = checks(found)["hold"]
        assert held.state == "bad"
        assert "too_many_pings" in held.text
        assert "goaway-too-many-pings" in [one.rule for one in found.counted]

    def test_held_and_idle(self) -> None:
        with grpcio_server() as port:
            found = look(port, hold=0.6, idle=0.6)
        assert states(found)["hold"] == states(found)["idle"] == "ok"
        assert found.status == 0


class TestOverTime:
    def test_closed_while_idle(self) -> None:
        with serving(H2Server(grpc_answer, close_after=0.6)) as port:
            found = look(port, idle=1.6)
        cut = checks(found)["idle"]
        assert (cut.state, cut.details["how"]) == ("bad", "fin")
        assert 0.5 < cut.details["cut"] < 1.2
        assert cut.details["alive"] == pytest.approx(0.4)

    def test_goaway_while_idle_is_noted(self) -> None:
        with serving(H2Server(grpc_answer, goaway_after=0.6)) as port:
            found = look(port, idle=1.2)
        cut = checks(found)["idle"]
        assert (cut.state, cut.details["how"]) == ("note", "goaway")

    def test_reset(self) -> None:
        with serving(H2Server(grpc_answer, close_after=0.5, reset=True)) as port:
            found = look(port, hold=1.5)
        assert states(found)["hold"] == "bad"
        assert "reset after 0." in checks(found)["hold"].text

    def test_maximum_age(self) -> None:
        with serving(H2Server(grpc_answer, goaway_after=0.5)) as port:
            found = look(port, hold=1.5)
        held = checks(found)["hold"]
        assert held.state == "note"
        assert held.text.startswith("GOAWAY NO_ERROR after 0.")

    def test_pings_into_the_void(self) -> None:
        with serving(H2Server(grpc_answer, ack_pings=False)) as port:
            found = look(port, hold=0.5, every=0.2, idle=0.4, timeout=0.6)
        assert states(found)["ping"] == states(found)["hold"] == states(found)["idle"] == "bad"
        assert checks(found)["idle"].details["how"] == "silent"


class TestStrangers:
    def test_a_black_hole(self) -> None:
        with serving(lambda sock: time.sleep(2)) as port:
            found = look(port, timeout=0.5)
        assert checks(found)["settings"].text == "the server accepted the connection and sent nothing within 0.5 s"
        assert found.status == 1

    def test_a_black_hole_behind_tls(self) -> None:
        with serving(lambda sock: time.sleep(2)) as port:
            found = look(port, timeout=0.5, tls=Tls())
        assert "did not answer the ClientHello" in found.unreachable
        assert found.status == 3

    def test_nobody_listens(self) -> None:
        with serving(lambda sock: None) as port:
            pass
        found = look(port)
        assert (found.unreachable, found.status) == ("the connection was refused", 3)
        assert found.diagnosis is None

    def test_http1(self) -> None:
        with serving(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")) as port:
            found = look(port)
        assert checks(found)["settings"].text == "HTTP/1 came: HTTP/1.1 400 Bad Request"
        assert found.status == 1

    def test_a_page_for_everything(self) -> None:
        with serving(H2Server(page(404))) as port:
            found = look(port)
        told = states(found)
        assert told["health"] == told["reflection"] == told["unknown-method"] == "note"
        assert told["grpc"] == "bad", "nothing here is gRPC"
        assert not [one for one in found.counted if one.severity == "error"], "we asked for what is not there"

    def test_an_upstream_that_is_down(self) -> None:
        with serving(H2Server(page(502))) as port:
            found = look(port)
        assert states(found)["health"] == "bad"
        assert "http-error-with-body" in [one.rule for one in found.counted]

    def test_no_health_and_no_reflection_is_no_fault(self) -> None:
        server = H2Server(grpc_answer)
        with serving(server) as port:
            found = look(port, method="/demo.Echo/Unary")
        assert found.status == 0
        assert states(found)["health"] == states(found)["reflection"] == "note"
        assert "/demo.Echo/WirecaseProbeNoSuchMethod" in server.paths

    def test_a_server_that_hangs_up_at_once(self) -> None:
        with serving(lambda sock: sock.recv(100)) as port:
            found = look(port)
        assert states(found)["settings"] == "bad"

    def test_garbage(self) -> None:
        with serving(lambda sock: sock.sendall(bytes(range(256)) * 100)) as port:
            found = look(port)
        assert states(found)["settings"] == "bad"
        assert found.status == 1


class TestTls:
    @pytest.fixture
    def made(self) -> Iterator[Any]:
        tls = ServerTls()
        yield tls
        tls.close()

    def test_trusted(self, made: Any) -> None:
        with serving(H2Server(grpc_answer), made.context) as port:
            found = look(port, tls=Tls(ca=made.ca), method="/demo.Echo/Unary")
        assert found.tls is not None
        assert (found.tls.alpn, found.tls.trusted, found.tls.version[:4]) == ("h2", True, "TLSv")
        assert "127.0.0.1" in found.tls.names
        told = states(found)
        assert told["tls"] == told["alpn"] == told["call"] == "ok"
        assert told["certificate"] == "note", "it ends tomorrow"
        assert found.diagnosis is not None
        assert found.diagnosis.calls.total >= 3, "recorded in the clear"

    def test_a_stranger_gets_nothing(self, made: Any) -> None:
        server = H2Server(grpc_answer)
        with serving(server, made.context) as port:
            found = look(port, tls=Tls(), method="/demo.Echo/Unary", grpcio=True)
        assert states(found)["tls"] == "bad"
        assert "is not trusted" in checks(found)["tls"].text
        assert not server.paths
        assert found.status == 1
        assert found.tls is not None
        assert found.tls.names, "what it shows is told all the same"

    def test_insecure_goes_on_with_both(self, made: Any) -> None:
        pytest.importorskip("grpc")
        with serving(H2Server(grpc_answer), made.context) as port:
            found = look(port, tls=Tls(insecure=True), method="/demo.Echo/Unary", grpcio=True)
        assert checks(found)["call"].text.startswith("OK")
        assert checks(found)["grpcio-call"].text.startswith("OK")

    def test_without_alpn(self) -> None:
        made = ServerTls(alpn="none")
        with contextlib.closing(made), serving(H2Server(grpc_answer), made.context) as port:
            found = look(port, tls=Tls(ca=made.ca))
        alpn = checks(found)["alpn"]
        assert alpn.state == "bad"
        assert "nothing was agreed on" in alpn.text
        assert states(found)["ping"] == "ok", "it is spoken to all the same"
        assert found.status == 1

    def test_plaintext_where_tls_was_expected(self) -> None:
        with serving(H2Server(grpc_answer)) as port:
            found = look(port, tls=Tls())
        assert "(--plaintext)" in found.unreachable
        assert found.status == 3

    def test_tls_where_plaintext_was_expected(self, made: Any) -> None:
        with serving(H2Server(grpc_answer), made.context) as port:
            found = look(port)
        assert "--tls" in checks(found)["settings"].text
        assert found.status == 1


def test_a_name_with_several_addresses() -> None:
    """The first that takes a connection is the one; the others are said."""
    with serving(H2Server(grpc_answer)) as port:
        right = look_up(f"127.0.0.1:{port}")
        with serving(lambda sock: None) as gone:
            wrong = look_up(f"127.0.0.1:{gone}")
        found, recorder = probe(Request(wrong, [right], grpcio=False, timeout=3.0))
        recorder.discard()
    assert [(one.id, one.state) for one in found.checks[:2]] == [("connect", "note"), ("connect", "ok")]
    assert found.status == 0
    assert found.request.target is right


def test_the_address_is_the_only_one_that_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy of the environment nor another name."""
    with serving(lambda sock: sock.recv(100)) as proxy, grpcio_server() as port:
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        found = look(port, grpcio=True)
    assert found.status == 0
    assert states(found)["grpcio"] == "ok"
