"""One connection through all layers: its TCP facts, its HTTP/2 facts and its gRPC calls, as the rules see them."""
