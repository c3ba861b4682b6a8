"""Reads and writes constant databases, from docs/cdb-format.md alone: what a program of somebody else's would do."""
import struct

HEADER = 2048


class Damaged(Exception):
    pass


def key_hash(key):
    value = 5381
    for byte in key:
        value = value * 33 % 2**32 ^ byte
    return value


class Reader:
    def __init__(self, data):
        self.data = data
        if len(data) < HEADER:
            raise Damaged("shorter than a header")

    def numbers(self, place):
        if place + 8 > len(self.data):
            raise Damaged(f"place {place} is outside")
        return struct.unpack_from("<II", self.data, place)

    def record(self, place):
        key, value = self.numbers(place)
        middle = place + 8 + key
        if middle + value > len(self.data):
            raise Damaged(f"record {place} reaches outside")
        return self.data[place + 8:middle], self.data[middle:middle + value]

    def find(self, key):
        """The values of all records of this key."""
        wanted = key_hash(key)
        table, slots = self.numbers(wanted % 256 * 8)
        found = []
        for step in range(slots):
            hashed, place = self.numbers(table + (wanted // 256 + step) % slots * 8)
            if not place:
                break
            if hashed == wanted:
                stored, value = self.record(place)
                if stored == key:
                    found.append(value)
        return found

    def records(self):
        place, end = HEADER, min(self.numbers(entry * 8)[0] for entry in range(256))
        while place < end:
            key, value = self.record(place)
            yield key, value
            place += 8 + len(key) + len(value)


def written(records):
    """The bytes of a database of these pairs of key and value."""
    body, remembered, place = [], [[] for _ in range(256)], HEADER
    for key, value in records:
        hashed = key_hash(key)
        remembered[hashed % 256].append((hashed, place))
        body.append(struct.pack("<II", len(key), len(value)) + key + value)
        place += len(body[-1])
    header = []
    for known in remembered:
        slots = [(0, 0)] * (2 * len(known))
        for hashed, where in known:
            at = hashed // 256 % len(slots)
            while slots[at][1]:
                at = (at + 1) % len(slots)
            slots[at] = hashed, where
        header.append(struct.pack("<II", place, len(slots)))
        body.append(b"".join(struct.pack("<II", *slot) for slot in slots))
        place += len(body[-1])
    return b"".join(header + body)
