#!/usr/bin/env python3
"""elf-files.py ROOT: of the absolute paths on standard input those of ELF files below ROOT, one a file: the first name."""
import os
import sys

seen = set()
for path in sorted((line.rstrip("\n") for line in sys.stdin), key=lambda path: path.split("/")):
    with open(sys.argv[1] + path, "rb") as file:
        status = os.fstat(file.fileno())
        if file.read(4) == b"\x7fELF" and (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            print(path)
