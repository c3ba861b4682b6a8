"""Reads queue files, independently of the project's own code: written from docs/queue-format.md alone, with nothing but the
standard library. What cannot be read raises Damaged."""

class Damaged(Exception):
    pass


ENVELOPE = set("TFSAORD/WVLI>Kc<ion") | {"C"}
EXTRACTED = set("AORD/LI>erPKon")


def read_record(data, at):
    """(type, data, offset of what follows)"""
    if at >= len(data):
        raise Damaged("no end record")
    kind = chr(data[at])
    length = shift = 0
    at += 1
    for _ in range(5):
        if at >= len(data):
            raise Damaged("cut length")
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    else:
        raise Damaged("endless length")
    if length > 0x7FFFFFFF or at + length > len(data):
        raise Damaged("cut record")
    return kind, data[at:at + length], at + length


def records(data):
    """(offset, type, data) of the logical order: pointers followed, padding left out, up to the end record."""
    at = walked = 0
    while True:
        kind, value, after = read_record(data, at)
        walked += after - at
        if walked > len(data):
            raise Damaged("pointers form a loop")
        if kind == "p":
            target = int(value)
            if not 0 <= target < len(data):
                raise Damaged("pointer outside the file")
            at = target or after
            continue
        if kind != "w":
            yield at, kind, value
        if kind == "E":
            return
        at = after


def read(data):
    """A dictionary with what the format says about a message: arrival, sender, attributes, recipients, text …"""
    message = {"attributes": {}, "recipients": [], "text": b"", "sender": None, "arrival": None, "size": None}
    segment = "envelope"
    coming = {}
    single = {"F": "full_name", "L": "content_filter", "I": "inspector", ">": "redirect_to", "V": "verp_delimiters",
              "e": "errors_to", "W": "warn_time"}
    for offset, kind, value in records(data):
        if segment == "content":
            if kind == "N":
                message["text"] += value + b"\n"
            elif kind == "L":
                message["text"] += value
            elif kind == "X":
                segment = "extracted"
            else:
                raise Damaged(f"{kind} in the content")
        elif kind == "E":
            if segment != "extracted":
                raise Damaged("the file ends early")
        elif kind == "M":
            segment = "content"
        elif kind not in (ENVELOPE if segment == "envelope" else EXTRACTED):
            raise Damaged(f"{kind} in the {segment}")
        elif kind == "C" and offset == 0:
            message["size"] = [int(field) for field in value.split()]
        elif kind == "T":
            message["arrival"] = int(value.split()[0])
        elif kind == "S":
            if message["sender"] is not None:
                raise Damaged("two senders")
            message["sender"] = value
        elif kind == "A":
            name, equals, text = value.partition(b"=")
            if not equals:
                raise Damaged("attribute without =")
            name, text = name.strip().decode(), text.strip()
            if name in ("notify_flags", "dsn_orig_rcpt"):
                coming[name] = text
            else:
                message["attributes"].setdefault(name, text)
        elif kind == "O":
            coming["original"] = value
        elif kind in "RD/":
            if message["sender"] is None:
                raise Damaged("a recipient before the sender")
            if kind != "/":
                message["recipients"].append({"address": value, "done": kind == "D", **coming})
            coming = {}
        elif kind in single:
            message[single[kind]] = value
    if message["arrival"] is None or message["sender"] is None:
        raise Damaged("no arrival time or no sender")
    return message
