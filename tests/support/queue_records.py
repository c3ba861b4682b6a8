"""Records of queue files and of submissions: type, length in groups of seven bits, data (docs/queue-format.md)."""


def record(kind, data=b""):
    """kind is one letter, as text or as bytes."""
    length, out = len(data), bytearray(kind.encode() if isinstance(kind, str) else kind)
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + data
