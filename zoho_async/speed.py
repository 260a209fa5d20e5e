"""Settings of the process that make reading pages faster. Nothing of this is done unless it is called."""

from __future__ import annotations

__all__ = ["tune"]

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_SETTINGS = (
    # Longer bodies get their memory from the kernel, page by page, and return it after each response.
    ("M_MMAP_THRESHOLD", _M_MMAP_THRESHOLD, 32 * 1024 * 1024),
    ("M_TRIM_THRESHOLD", _M_TRIM_THRESHOLD, 128 * 1024 * 1024),
    ("M_TOP_PAD", _M_TOP_PAD, 1024 * 1024),
)
"""Names and numbers from glibc's malloc.h, and bytes."""


def tune() -> tuple[str, ...]:
    """Let glibc's allocator keep the memory of a response for the next one; call it once at the program's start.

    By default glibc takes memory of 128 KiB and more from the kernel and returns it at once, so that every page of a
    list costs the kernel's work for each of its memory pages. The price is memory: up to 128 MiB that are free stay
    with the process. It concerns the whole process and cannot be undone.

    Returns:
        The settings that were made, such as `M_TRIM_THRESHOLD=134217728`; empty where the C library is not glibc.
    """
    import sys

    if not sys.platform.startswith("linux"):
        return ()
    import ctypes

    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return ()
    return tuple(f"{name}={value}" for name, number, value in _SETTINGS if library.mallopt(number, value) == 1)
