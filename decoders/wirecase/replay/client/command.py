"""What the client's command becomes: placeholders filled, proxies taken out of its environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wirecase.errors import UsageError

PROXY_VARIABLES = frozenset(
    ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "socks_proxy", "ftp_proxy", "no_proxy", "no_grpc_proxy")
)
"""Removed in any case of their letters: through a proxy a client would not meet what is served to it."""
NAMES = ("target", "host", "port", "url", "ca", "loop")
_PLACEHOLDER = re.compile(r"\{\{([a-z]+)\}\}|\{([a-z]+)\}")


@dataclass(slots=True, frozen=True)
class Target:
    """Where the client is to go."""

    host: str
    """A name or an address, an IPv6 address without brackets."""
    port: int
    ca: str | None = None
    """Path of the PEM file of the authority to trust; None in cleartext."""
    rounds: int = 1
    """How often the problem will be served."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further placeholders (lower-case letters) and what stands for them; in the environment ``WIRECASE_<NAME>``."""

    @property
    def names(self) -> frozenset[str]:
        """All placeholders."""
        return frozenset((*NAMES, *self.more))

    @property
    def target(self) -> str:
        """``host:port``, as gRPC libraries take it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """``http://host:port``, or https with TLS."""
        return f"{'http' if self.ca is None else 'https'}://{self.target}"

    def value(self, name: str) -> str:
        """Return what stands for a placeholder. Raises UsageError for ``{ca}`` in cleartext."""
        if name == "ca" and self.ca is None:
            raise UsageError("{ca} stands for the authority of --tls: give --tls, or leave {ca} out")
        values = {
            "target": self.target,
            "host": self.host,
            "port": str(self.port),
            "url": self.url,
            "ca": self.ca or "",
            "loop": str(self.rounds),
        }
        return values[name] if name in values else self.more[name]


def fill(command: Sequence[str], target: Target) -> list[str]:
    """Return `command` with its placeholders filled.

    Only the target's names in braces are placeholders; any other brace stands for itself, and ``{{target}}`` for the
    text ``{target}``. Raises UsageError for ``{ca}`` in cleartext.
    """
    names = target.names

    def replaced(found: re.Match[str]) -> str:
        if (found[1] or found[2]) not in names:
            return found[0]
        return f"{{{found[1]}}}" if found[1] else target.value(found[2])

    return [_PLACEHOLDER.sub(replaced, argument) for argument in command]


def uses(command: Sequence[str], name: str) -> bool:
    """Tell whether a placeholder stands in `command`."""
    return any(found[2] == name for argument in command for found in _PLACEHOLDER.finditer(argument))


def environment(target: Target, report: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of the client: this process's own (or `base`) without proxies, with ours.

    `report` is the path of the file that the client may append lines to.
    """
    before = os.environ if base is None else base
    made = {name: value for name, value in before.items() if name.lower() not in PROXY_VARIABLES}
    made.pop("WIRECASE_CA", None)
    made |= {
        "WIRECASE_TARGET": target.target,
        "WIRECASE_URL": target.url,
        "WIRECASE_REPORT": report,
        "WIRECASE_LOOP": str(target.rounds),
        **{f"WIRECASE_{name.upper()}": value for name, value in target.more.items()},
    }
    if target.ca is not None:
        made["WIRECASE_CA"] = target.ca
    return made
