"""What grpcio makes of the same server: the codes and texts that an application would be given.

grpcio dials a relay on loopback, which records and leads to the one address that was looked up: no name is looked up
again, no proxy of the environment is used, no service config is fetched, nothing is tried twice. Where TLS is spoken,
grpcio meets the server's own certificate first, through a relay that passes TLS on as it is; its calls go through one
that takes TLS off, so that they can be read.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

from wirecase.probing.model import Answer, Probe
from wirecase.probing.relay import Relay
from wirecase.probing.services import HEALTH, in_words, serving

if TYPE_CHECKING:
    import grpc
    from wirecase.sources.authority import Authority

_MOST_MESSAGES = 1000


def look(probe: Probe, authority: str) -> list[tuple[int, bytes]]:
    """Connect, ask for health and make the call; notes the checks ``grpcio``, ``grpcio-health`` and ``grpcio-call``.

    Returns what passed as IP packets with their times.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import grpc  # noqa: F401 - whether it is there
    except ImportError:
        probe.add("grpcio", "note", "grpcio is not installed: python -m pip install 'wirecase[grpc]' lets it look, too")
        return []
    tls = probe.request.tls
    name = _server_name(probe)
    relay = Relay(probe.request.target)
    try:
        connected = _through(relay, probe, authority, name, None if tls is None else _roots(probe), calls=tls is None)
    finally:
        relay.close()
    if tls is None or not connected:
        return relay.packets  # of TLS that went well nothing could be read: its calls follow
    from wirecase.sources.live.secure import Terminator

    throwaway = _authority(probe)
    relay = Relay(probe.request.target, Terminator(throwaway, name, not tls.insecure, tls.ca))
    try:
        _through(relay, probe, authority, name, (throwaway.pem,), connect=False)
    finally:
        relay.close()
    return relay.packets


def _through(
    relay: Relay, probe: Probe, authority: str, name: str, roots: tuple[bytes | None] | None, *,
    connect: bool = True, calls: bool = True,
) -> bool:  # fmt: skip
    """Look through one relay; False if there is no connection."""
    import grpc

    channel = _channel(relay.address, authority, name, roots)
    try:
        begun = time.monotonic()
        try:
            grpc.channel_ready_future(channel).result(timeout=probe.request.timeout)
        except grpc.FutureTimeoutError:
            text = f"grpcio does not get a connection ready within {probe.request.timeout:g} s"
            why = relay.problem or in_words(_call(channel, probe, HEALTH, b""))
            probe.add("grpcio", "bad", f"{text}: {why.replace(relay.address, probe.request.target.address)}")
            return False
        if connect:
            probe.add("grpcio", "ok", f"grpcio {grpc.__version__} is connected", time.monotonic() - begun)
        if calls:
            _ask(channel, probe)
        return True
    finally:
        _close(channel)


def _close(channel: grpc.Channel) -> None:
    """Close a channel in a thread: a Ctrl-C in the midst of it leaves grpcio waiting for its own end for ever."""
    closer = threading.Thread(target=channel.close, name="wirecase-grpcio-close", daemon=True)
    closer.start()
    closer.join()


def _ask(channel: grpc.Channel, probe: Probe) -> None:
    answer = _call(channel, probe, HEALTH, b"")
    state, text = serving(answer)
    probe.add("grpcio-health", "note" if state == "bad" else state, text, answer.seconds)
    method = probe.request.method
    if method is not None:
        answer = _call(channel, probe, method, probe.request.data)
        state = "ok" if answer.grpc_status == 0 else "untold" if answer.how == "timeout" else "bad"
        probe.add("grpcio-call", state, in_words(answer), answer.seconds, status=answer.grpc_status)


def _server_name(probe: Probe) -> str:
    """Return the name that the server's certificate is to be for."""
    request = probe.request
    if request.tls is not None and request.tls.insecure and probe.tls is not None and probe.tls.der:
        return next((name for name in probe.tls.names if not name.startswith("*")), request.target.host)
    return (request.tls.server_name if request.tls is not None else None) or request.target.host


def _authority(probe: Probe) -> Authority:
    """Return an authority whose certificates are for the names of the server's own.

    So grpcio's checks of names come out as they do without the relay.
    """
    from wirecase.sources.authority import Authority

    names = probe.tls.names if probe.tls is not None else []

    class Twin(Authority):
        def context(self, *asked: str) -> ssl.SSLContext:
            return super().context(*(names or asked))

    return Twin("wirecase probe, a throwaway authority")


def _roots(probe: Probe) -> tuple[bytes | None]:
    """Return the authorities that grpcio is to trust; None for its own."""
    tls = probe.request.tls
    assert tls is not None
    if tls.insecure and probe.tls is not None and probe.tls.der:
        # grpcio has no way to take any certificate: the one that was just seen is trusted, under a name of its own.
        return (ssl.DER_cert_to_PEM_cert(probe.tls.der).encode(),)
    if tls.ca is None:
        return (None,)
    with open(tls.ca, "rb") as file:
        return (file.read(),)


def _channel(place: str, authority: str, name: str, roots: tuple[bytes | None] | None) -> grpc.Channel:
    """Return a channel to `place`; with TLS where `roots` are given, to a server of that name."""
    import grpc

    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0), ("grpc.service_config_disable_resolution", 1), ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", authority),
        ("grpc.max_receive_message_length", 64 << 20), ("grpc.primary_user_agent", "wirecase-probe"),
    ]  # fmt: skip
    if roots is None:
        return grpc.insecure_channel(f"ipv4:{place}", options=options)
    options.append(("grpc.ssl_target_name_override", name))
    return grpc.secure_channel(f"ipv4:{place}", grpc.ssl_channel_credentials(roots[0]), options=options)


def _call(channel: grpc.Channel, probe: Probe, path: str, data: bytes) -> Answer:
    """Make a call; one message goes, any number may come."""
    import grpc

    begun = time.monotonic()
    answer = Answer(how="trailers", content_type="application/grpc", http_status=None)
    call = channel.unary_stream(path)(
        data, timeout=probe.request.timeout, metadata=probe.request.metadata or None, wait_for_ready=False
    )
    try:
        for message in call:
            answer.count += 1
            if len(answer.messages) < 64:
                answer.messages.append(message)
            if answer.count >= _MOST_MESSAGES:
                call.cancel()
        answer.grpc_status = 0
    except grpc.RpcError as error:
        code = error.code()
        answer.grpc_status = code.value[0]
        answer.grpc_message = (error.details() or "")[:1024]
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - begun >= probe.request.timeout * 0.9:
            answer.how = "timeout"
    answer.seconds = time.monotonic() - begun
    return answer
