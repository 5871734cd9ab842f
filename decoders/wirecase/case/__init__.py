"""Cases: the smallest session that still shows a fault, as a capture file that is safe to hand on."""
