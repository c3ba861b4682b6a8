"""A name server for tests: answers what its table says, over UDP and TCP, on a loopback port.

table maps (name, type) to a list of records or to one of the outcomes NXDOMAIN, NODATA, SERVFAIL, REFUSED, SILENCE,
GARBAGE. Records are "127.0.0.1" (A), "::1" (AAAA), (10, "mx.example") (MX; "" is the null MX), "host.example"
(PTR, CNAME), "text" (TXT). A name with any entry at all exists: other types of it are NODATA. Unknown names are
NXDOMAIN."""
import ipaddress
import socket
import struct
import threading

NXDOMAIN, NODATA, SERVFAIL, REFUSED, SILENCE, GARBAGE = "NXDOMAIN", "NODATA", "SERVFAIL", "REFUSED", "SILENCE", "GARBAGE"
OUTCOMES = {NXDOMAIN: 3, NODATA: 0, SERVFAIL: 2, REFUSED: 5}
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NAMES = {number: name for name, number in TYPES.items()}


def encode_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode("latin-1")
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def encode_record(kind, value):
    if kind == "A":
        return ipaddress.IPv4Address(value).packed
    if kind == "AAAA":
        return ipaddress.IPv6Address(value).packed
    if kind == "MX":
        return struct.pack(">H", value[0]) + encode_name(value[1])
    if kind == "TXT":
        raw = value.encode()
        return bytes([len(raw)]) + raw
    return encode_name(value)


class DnsServer:
    def __init__(self, table=None, host="127.0.0.1", port=0, limit=512):
        self.table = {(name.lower().rstrip("."), kind): value for (name, kind), value in (table or {}).items()}
        self.limit = limit  # bytes of a UDP answer; longer ones are truncated and asked again over TCP
        self.questions = []
        self.stopping = False
        for _ in range(20):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.udp.bind((host, port))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp = socket.create_server((host, self.port))
                break
            except OSError:
                self.udp.close()
        self.address = f"{host}:{self.port}"
        for work in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def set(self, name, kind, value):
        self.table[(name.lower().rstrip("."), kind)] = value

    def close(self):
        self.stopping = True
        self.udp.close()
        self.tcp.close()

    def answer(self, question):
        """The answer to one message as bytes, or None for silence."""
        if len(question) < 17:
            return None
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1"))
            at += 1 + question[at]
        name = ".".join(labels).lower()
        number = struct.unpack(">H", question[at + 1:at + 3])[0]
        kind = NAMES.get(number, str(number))
        self.questions.append((name, kind))
        section = question[12:at + 5]
        records, code = [], 0
        for _ in range(8):
            value = self.table.get((name, kind))
            if value is None and (name, "CNAME") in self.table:
                target = self.table[(name, "CNAME")][0]
                records.append((name, "CNAME", target))
                name = target.lower()
                continue
            if value is None:
                known = any(key[0] == name for key in self.table)
                value = NODATA if known else NXDOMAIN
            if value == SILENCE:
                return None
            if value == GARBAGE:
                return question[:2] + b"\x81\x80" + b"\xff" * 40
            if isinstance(value, str):
                code = OUTCOMES[value]
            else:
                records += [(name, kind, one) for one in value]
            break
        body = b""
        for owner, record_kind, value in records:
            data = encode_record(record_kind, value)
            body += encode_name(owner) + struct.pack(">HHIH", TYPES[record_kind], 1, 60, len(data)) + data
        return question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0) + section + body

    def _serve_udp(self):
        while not self.stopping:
            try:
                question, peer = self.udp.recvfrom(4096)
                made = self.answer(question)
                if made is not None:
                    if len(made) > self.limit:
                        section_end = question.index(b"\0", 12) + 5
                        made = made[:2] + struct.pack(">H", 0x8380) + struct.pack(">HHHH", 1, 0, 0, 0) + question[12:section_end]
                    self.udp.sendto(made, peer)
            except (OSError, IndexError, ValueError):
                if self.stopping:
                    return

    def _serve_tcp(self):
        while not self.stopping:
            try:
                peer, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_peer, args=(peer,), daemon=True).start()

    def _serve_peer(self, peer):
        try:
            peer.settimeout(10)
            stream = peer.makefile("rb")
            while True:
                size = stream.read(2)
                if len(size) < 2:
                    return
                made = self.answer(stream.read(struct.unpack(">H", size)[0]))
                if made is None:
                    return
                peer.sendall(struct.pack(">H", len(made)) + made)
        except OSError:
            pass
        finally:
            peer.close()
