#!/usr/bin/env python3
"""Writes the letters whose case folding (Unicode: C and F) is something else, above ASCII, as rows of a C++ array."""
import sys

with open(sys.argv[1], "w") as out:
    for code in range(0x80, 0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        folded = chr(code).casefold()
        if folded != chr(code):
            text = "".join(f"\\{byte:03o}" for byte in folded.encode())
            out.write(f'{{0x{code:X}, "{text}"}},\n')
