"""What the C library does with memory that is free again."""

from __future__ import annotations

# From glibc's malloc.h; both have effect from the moment they are set.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 64 << 20
"""Bytes of free memory that are not given back."""
_LARGEST = 32 << 20
"""Bytes of a block up to which it comes out of that memory: the most that glibc allows."""


def keep_freed() -> None:
    """Have the C library keep what is freed, up to a bound, for what is allocated next.

    Reading a large capture takes and frees blocks of some MiB all the time. Where glibc happens to give each of them
    back, the kernel has to clear all of its pages anew: 250,000 page faults and half a second for 560 MB under TLS.
    Other C libraries are left as they are.
    """
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError, TypeError):  # another C library, another system, no ctypes
        return
    mallopt(_TRIM_THRESHOLD, _KEPT)
    mallopt(_MMAP_THRESHOLD, _LARGEST)
