"""Numbers for Prometheus: what a session sees, and how it fares itself. Needs prometheus-client (``wirecase[live]``).

They are read when they are asked for, out of a snapshot that the session makes several times a second: the thread that
answers touches nothing that is at work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wirecase.errors import InputError, UsageError


@dataclass(slots=True)
class Numbers:
    """One snapshot: name without prefix -> value, or value by label."""

    counters: dict[str, float | dict[tuple[str, ...], float]] = field(default_factory=dict)
    gauges: dict[str, float | dict[tuple[str, ...], float]] = field(default_factory=dict)


HELP = {
    "calls": "gRPC calls that have ended, by outcome",
    "findings": "What findings count (calls, connections; frames of a flood), by rule and severity",
    "connections": "Connections that were accepted",
    "connections_open": "Connections that are open",
    "bytes": "Bytes that were passed on, by the side that sent them",
    "lost_bytes": "Bytes that were passed on and not recorded",
    "lost_records": "Events of connections that were not recorded",
    "refused": "Connections that the server did not take",
    "tls_failed": "Connections for which TLS could not be set up",
    "written_bytes": "Bytes of the recording on disk",
    "lag_seconds": "By how much the diagnosis is behind the traffic",
    "lag_bytes": "Bytes that the diagnosis has not read yet",
    "queue_bytes": "Bytes that wait between forwarding and recording",
    "queue_size_bytes": "Room for such bytes",
    "ring_bytes": "Bytes that the flight recorder keeps",
    "ring_connections": "Connections of which it keeps something",
    "cases": "Cases that were written",
    "cases_not_kept": "Faults without a case, by reason",
    "hooks_failed": "Hooks that failed",
    "forwarding_cpu_seconds": "Processor time of the forwarding process",
    "packets": "Packets that were diagnosed",
    "kernel_drops": "Packets that the system dropped before they were seen",
}
_LABELS = {
    "calls": ("outcome",), "findings": ("rule", "severity"), "bytes": ("side",), "cases_not_kept": ("reason",),
}  # fmt: skip


class Endpoint:
    """Answers on an address of its own until it is closed."""

    def __init__(self, address: tuple[str, int], read: Callable[[], Numbers]) -> None:
        """Begin to answer. Raises UsageError without prometheus-client, InputError if the address is taken."""
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise UsageError("--metrics needs prometheus-client: pip install 'wirecase[live]'") from error
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(read))
        try:
            self._server, self._thread = start_http_server(address[1], address[0], registry=registry)
        except OSError as error:
            raise InputError(f"--metrics: cannot listen on {address[0]}:{address[1]}: {error.strerror}") from error
        self.address = (address[0], int(self._server.server_address[1]))

    def close(self) -> None:
        """Cease to answer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Collector:
    def __init__(self, read: Callable[[], Numbers]) -> None:
        self._read = read
        self._began = time.time()

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        numbers = self._read()
        for kind, values in ((CounterMetricFamily, numbers.counters), (GaugeMetricFamily, numbers.gauges)):
            for name, value in values.items():
                labels = _LABELS.get(name, ())
                family = kind(f"wirecase_{name}", HELP.get(name, name), labels=labels)
                if isinstance(value, dict):
                    for key, one in value.items():
                        family.add_metric(key, one)
                else:
                    family.add_metric((), value)
                yield family
        yield GaugeMetricFamily("wirecase_start_time_seconds", "When the session began", value=self._began)
