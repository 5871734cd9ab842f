"""What grpcio makes of the same server: the codes and texts that an application would be given.

The address is dialled as it was looked up (``ipv4:``, ``ipv6:``): no name is looked up again, no proxy of the
environment is used, no service config is fetched, nothing is tried twice.
"""

from __future__ import annotations

import os
import ssl
import time
from typing import TYPE_CHECKING, Any

from wirecase.probing.model import Answer, Probe
from wirecase.probing.services import HEALTH, in_words, serving

if TYPE_CHECKING:
    import grpc

_MOST_MESSAGES = 1000


def look(probe: Probe, authority: str) -> None:
    """Connect, ask for health and make the call; notes the checks ``grpcio``, ``grpcio-health`` and ``grpcio-call``."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import grpc
    except ImportError:
        probe.add("grpcio", "note", "grpcio is not installed: python -m pip install 'wirecase[grpc]' lets it look, too")
        return
    channel = _channel(probe, authority)
    try:
        begun = time.monotonic()
        try:
            grpc.channel_ready_future(channel).result(timeout=probe.request.timeout)
        except grpc.FutureTimeoutError:
            text = f"grpcio does not get a connection ready within {probe.request.timeout:g} s"
            probe.add("grpcio", "bad", f"{text}: {_why(channel, probe)}")
            return
        probe.add("grpcio", "ok", f"grpcio {grpc.__version__} is connected", time.monotonic() - begun)
        answer = _call(channel, probe, HEALTH, b"")
        state, text = serving(answer)
        probe.add("grpcio-health", "note" if state == "bad" else state, text, answer.seconds)
        method = probe.request.method
        if method is not None:
            answer = _call(channel, probe, method, probe.request.data)
            state = "ok" if answer.grpc_status == 0 else "untold" if answer.how == "timeout" else "bad"
            probe.add("grpcio-call", state, in_words(answer), answer.seconds, status=answer.grpc_status)
    finally:
        channel.close()


def _channel(probe: Probe, authority: str) -> grpc.Channel:
    import grpc

    request = probe.request
    target = request.target
    place = f"ipv6:[{target.ip}]:{target.port}" if ":" in target.ip else f"ipv4:{target.ip}:{target.port}"
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0), ("grpc.service_config_disable_resolution", 1), ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", authority),
        ("grpc.max_receive_message_length", 64 << 20), ("grpc.primary_user_agent", "wirecase-probe"),
    ]  # fmt: skip
    if request.tls is None:
        return grpc.insecure_channel(place, options=options)
    roots = None
    if request.tls.insecure and probe.tls is not None and probe.tls.der:
        # grpcio has no way to take any certificate: the one that was just seen is trusted, under a name of its own.
        roots = ssl.DER_cert_to_PEM_cert(probe.tls.der).encode()
        names = [name for name in probe.tls.names if not name.startswith("*")]
        options.append(("grpc.ssl_target_name_override", names[0] if names else target.host))
    else:
        if request.tls.ca is not None:
            with open(request.tls.ca, "rb") as file:
                roots = file.read()
        options.append(("grpc.ssl_target_name_override", request.tls.server_name or target.host))
    return grpc.secure_channel(place, grpc.ssl_channel_credentials(roots), options=options)


def _why(channel: grpc.Channel, probe: Probe) -> str:
    """Ask for the reason with a call that does not wait."""
    answer = _call(channel, probe, HEALTH, b"")
    return in_words(answer)


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
