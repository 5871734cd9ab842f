"""A live look at one gRPC server, from the outside: what it says of itself, how it answers, how long it stays.

`probe` is the whole of it. Two clients look side by side: our own over h2 (`peer`), whose bytes are recorded and go
through the same diagnosis as any capture, and grpcio (`grpcio`), which says what an application would be told. Nothing
but the one address is ever dialled: the name is looked up once, and no proxy, redirect or service config is followed.
"""

from wirecase.probing.model import Answer, Check, Probe, Request, TlsFacts
from wirecase.probing.run import probe

__all__ = ["Answer", "Check", "Probe", "Request", "TlsFacts", "probe"]
