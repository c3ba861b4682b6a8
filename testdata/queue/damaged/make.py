#!/usr/bin/env python3
"""Writes the damaged queue files of this directory, one kind of damage each; tests/queue/test_damaged.cpp names them."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def record(kind, data=b""):
    length, out = len(data), bytearray(kind.encode("latin-1"))
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + data


TIME, SENDER, RECIPIENT = record("T", b"1795226788 1"), record("S", b"a@b.test"), record("R", b"c@d.test")
M, X, E = record("M"), record("X"), record("E")
TEXT = record("N", b"Subject: x") + record("N") + record("N", b"body")
HEAD = TIME + SENDER + RECIPIENT
WHOLE = HEAD + M + TEXT + X + E


def size(content, start):
    return record("C", b"%15d %15d %15d %15d %15d %15d" % (content, start, 1, 0, content, 0))


def pointer(text):
    return record("p", text)


CLEANED = size(len(TEXT), 97 + len(HEAD) + 2) + WHOLE
FILES = {
    "empty": b"",
    "no_queue_file": b"root:x:0:0:root:/root:/bin/sh\n",
    "zeros": bytes(4096),
    "cut_in_a_type": WHOLE[:len(TIME)],
    "cut_in_a_length": HEAD + M + b"N\x81",
    "cut_in_data": WHOLE[:len(TIME) + 5],
    "cut_in_the_text": CLEANED[:-len(X + E) - 3],
    "cut_after_the_text": HEAD + M + TEXT,
    "cut_before_the_end_record": WHOLE[:-len(E)],
    "only_an_envelope": HEAD,
    "endless_length": HEAD + M + b"N\x80\x80\x80\x80\x80\x01" + b"x" * 64,
    "length_over_31_bits": HEAD + M + b"N\xff\xff\xff\xff\x0f" + b"x" * 64,
    "length_beyond_the_file": HEAD + M + b"N\xff\xff\x03" + b"x" * 64,
    "record_over_the_limit": HEAD + M + b"N\x81\x80\x80\x08" + b"x" * 64,
    "unknown_type_in_the_envelope": TIME + SENDER + record("Z", b"?") + RECIPIENT + M + TEXT + X + E,
    "text_in_the_envelope": TIME + record("N", b"text") + SENDER + RECIPIENT + M + TEXT + X + E,
    "recipient_in_the_text": HEAD + M + TEXT + RECIPIENT + X + E,
    "end_in_the_text": HEAD + M + TEXT + E,
    "text_among_the_extracted": HEAD + M + TEXT + X + record("N", b"text") + E,
    "sender_among_the_extracted": TIME + RECIPIENT.replace(b"R", b"F") + M + TEXT + X + SENDER + RECIPIENT + E,
    "no_arrival_time": SENDER + RECIPIENT + M + TEXT + X + E,
    "arrival_time_of_letters": record("T", b"yesterday") + SENDER + RECIPIENT + M + TEXT + X + E,
    "arrival_time_below_zero": record("T", b"-5 0") + SENDER + RECIPIENT + M + TEXT + X + E,
    "no_sender": TIME + M + TEXT + X + E,
    "two_senders": TIME + SENDER + SENDER + RECIPIENT + M + TEXT + X + E,
    "recipient_before_the_sender": TIME + RECIPIENT + SENDER + M + TEXT + X + E,
    "attribute_without_a_name": TIME + record("A", b"=value") + SENDER + RECIPIENT + M + TEXT + X + E,
    "attribute_without_equals": TIME + record("A", b"encoding") + SENDER + RECIPIENT + M + TEXT + X + E,
    "size_of_letters": record("C", b"a b c") + WHOLE,
    "size_below_zero": record("C", b"%15d %15d %15d" % (-7, 0, 1)) + WHOLE,
    "size_of_two_fields": record("C", b"%15d %15d" % (1, 2)) + WHOLE,
    "pointer_of_letters": HEAD + pointer(b"somewhere") + M + TEXT + X + E,
    "pointer_below_zero": HEAD + pointer(b"%15d" % -1) + M + TEXT + X + E,
    "pointer_beyond_the_end": HEAD + pointer(b"%15d" % 99999) + M + TEXT + X + E,
    "pointer_to_itself": HEAD + pointer(b"%15d" % len(HEAD)) + M + TEXT + X + E,
    "pointer_back_to_the_start": HEAD + M + TEXT + pointer(b"%15d" % (len(HEAD) + 2)) + X + E,
    "pointer_into_a_record": HEAD + pointer(b"%15d" % (len(TIME) + 4)) + M + TEXT + X + E,
    # Damage that a reader must get over: the file is good all the same.
    "good_but_the_size_points_nowhere": size(123456, 789) + WHOLE,
    "good_but_the_size_points_into_the_text": size(3, 97 + len(HEAD) + 2) + WHOLE,
    "good_with_bytes_after_the_end": WHOLE + b"\xff garbage \x00",
}

if __name__ == "__main__":
    for name, data in FILES.items():
        with open(os.path.join(HERE, name), "wb") as file:
            file.write(data)
