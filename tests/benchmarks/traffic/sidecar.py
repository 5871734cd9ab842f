"""What is known of a capture from the day it was made, kept beside it as ``NAME.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


class CannotGenerate(Exception):
    """A capture cannot be made on this machine; the text says what is missing."""


@dataclass(slots=True)
class Sidecar:
    """One capture of the set."""

    name: str
    """The capture's name, also the stem of its files."""
    file: str
    """The capture's file name, in the folder of this file."""
    port: int | None
    """The server's TCP port; None where a capture holds servers on several ports."""
    about: str
    """One sentence: what the traffic is and how it came about."""
    calls: int
    """How many calls the traffic holds, known from the client that made them."""
    messages: int
    """How many length-prefixed messages it holds, both directions; 0 where only the sender's library knows."""
    packets: int = 0
    """Packets in the file."""
    size: int = 0
    """The file's size in bytes."""
    scale: float = 1.0
    """The scale that the counts were multiplied with."""
    memory_only: bool = False
    """True where the capture serves the memory figure and is not compared with tshark."""
    keylog: str | None = None
    """File name of the key log, where the traffic is TLS."""
    clear: str | None = None
    """File name of the same traffic in cleartext, where the traffic is TLS."""
    made_with: dict[str, str] = field(default_factory=dict)
    """Name and version of the components that made the traffic."""

    def write(self, folder: Path) -> None:
        """Write ``NAME.json`` into *folder*."""
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def read_sidecars(folder: Path) -> list[Sidecar]:
    """Every capture in *folder* that has both its sidecar and its file, by name."""
    found = []
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text())
        if isinstance(data, dict) and "file" in data and (folder / data["file"]).is_file():
            found.append(Sidecar(**data))
    return found
