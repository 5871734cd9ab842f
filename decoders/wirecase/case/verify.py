"""What a recipient runs first: is this a case, does it tell what it says, and is nothing secret in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wirecase.case.compare import DECISIVE
from wirecase.case.manifest import Manifest, finding_json, read_manifest
from wirecase.http2.facts import ControlFrame, HeaderBlock
from wirecase.model import Diagnosis, Mark, Marks
from wirecase.pipeline import Options, diagnose
from wirecase.session.session import Session

_STEP = 16 << 20
_OVERLAP = 64 * 1024


@dataclass(slots=True)
class Verified:
    """What was found; everything is in order if all lists are empty."""

    manifest: Manifest
    found: Diagnosis
    problems: list[str] = field(default_factory=list)
    """What is wrong with the file."""
    differences: list[str] = field(default_factory=list)
    """What this version finds and the manifest does not say, or the reverse."""
    secrets: list[str] = field(default_factory=list)
    """What looks like a secret."""

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return not (self.problems or self.differences or self.secrets)


def verify(path: str) -> Verified:
    """Check the case at `path`. Raises InputError if it is no case, or cannot be read."""
    manifest = read_manifest(path)
    secrets = _Secrets()
    found = diagnose(Options([path]))
    diagnose(Options([path]), record=lambda _: secrets, closed=secrets.closed)
    secrets.look_through(path)
    checked = Verified(manifest, found)
    checked.problems += [f"at byte {one.offset}: {one.reason}" for one in found.damaged]
    checked.differences += _differences(manifest, found)
    allowed = _allowed(manifest)
    checked.secrets += [f"{kind}, {count} times" for kind, count in secrets.kinds.items() if kind not in allowed]
    return checked


def shapes_in(path: str, manifest: Manifest) -> list[str]:
    """Return what looks like a secret in a report about the case that `manifest` is of, one line for each kind."""
    secrets = _Secrets()
    secrets.look_through(path)
    allowed = _allowed(manifest)
    return [f"{kind}, {count} times" for kind, count in secrets.kinds.items() if kind not in allowed]


def _differences(manifest: Manifest, found: Diagnosis) -> list[str]:
    told = {_key(one): one for one in manifest["findings"]}
    now = {_key(one): one for one in (dict(finding_json(finding)) for finding in found.findings)}
    lines = [f"no longer found: {_name(told[key])}" for key in told if key not in now]
    lines += [f"found in addition: {_name(now[key])}" for key in now if key not in told]
    for key, one in told.items():
        other = now.get(key)
        if other is None:
            continue
        if one.get("severity") != other["severity"]:
            lines.append(f"{_name(one)}: severity {other['severity']} instead of {one.get('severity')}")
        before = one.get("details")
        if not isinstance(before, dict):
            continue
        lines += [
            f"{_name(one)}: {name} {other['details'].get(name)!r} instead of {before.get(name)!r}"
            for name in DECISIVE
            if before.get(name) != other["details"].get(name)
        ]
    return lines


def _key(one: Manifest) -> tuple[object, object, object]:
    connection = one.get("connection")
    index = connection.get("index") if isinstance(connection, dict) else None
    stream = one.get("stream")
    return (one["rule"], index if isinstance(index, int) else None, stream if isinstance(stream, int) else None)


def _name(one: Manifest) -> str:
    rule, connection, stream = _key(one)
    place = "" if connection is None else f" on connection {connection}"
    return f"{rule}{place}" + ("" if stream is None else f", stream {stream}")


class _Secrets:
    """Looks for what has the shape of a secret (`wirecase.http2.recorder.FrameRecorder`).

    It looks at decoded headers and at the bytes of the file; nothing is remembered of what it finds but the kind.
    """

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    def look(self, data: bytes, *, but: str = "") -> None:
        from wirecase.case.redact import find_shapes

        self.kinds.update(shape.kind for shape in find_shapes(data, random=False) if shape.kind != but)

    def look_through(self, path: str) -> None:
        """Look at the whole file. Where a value ends is not to be seen in it: credentials are judged by the headers."""
        with open(path, "rb") as file:
            data = b""
            while piece := file.read(_STEP):
                data = data[-_OVERLAP:] + piece
                self.look(data, but="credentials")

    def closed(self, session: Session) -> None:
        """Look at the first bytes of what is no HTTP/2."""
        if session.protocol != "h2":
            for first in session.first_bytes:
                if first is not None:
                    self.look(first.data)

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Look at header values."""
        for _, value in block.fields:
            if value is not None:
                self.look(value)

    def frame(self, frame: ControlFrame) -> None:
        """Nothing to do: the file is looked through."""

    def data(self, frame: ControlFrame, length: int) -> None:
        """Nothing to do."""

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """Nothing to do."""

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Nothing to do."""


def _allowed(manifest: Manifest) -> set[str]:
    """Return the kinds of secrets that were kept by name."""
    redaction = manifest.get("redaction")
    kept = redaction.get("kept_on_request") if isinstance(redaction, dict) else None
    return {one for one in kept if isinstance(one, str)} if isinstance(kept, list) else set()
