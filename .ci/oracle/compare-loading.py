#!/usr/bin/env python3
"""compare-loading.py OURS THEIRS: whether our example `loading` and a dynamic linker say the same of every file.

THEIRS is what `ldd -r` (or musl's linker with --list) prints, with a line "== FILE" before each file. Prints what differs.
"""
import re
import sys
from collections import defaultdict


def ours(lines):
    found = defaultdict(set)
    seen = defaultdict(set)
    for line in lines:
        kind, root, *rest = line.rstrip("\n").split("\t")
        root = "/" + root
        if kind == "load":
            _, name, path = rest
            if path == "-":
                found[root].add(("missing", name))
            elif path not in seen[root]:
                # A linker lists each library once, by the first name.
                seen[root].add(path)
                found[root].add(("load", path))
        elif kind == "undefined":
            found[root].add(("undefined", rest[1]))
        elif kind == "version":
            found[root].add(("version", rest[1]))
        elif kind == "damaged":
            found[root].add(("damaged",))
    return found


PATTERNS = [
    (r"\t(\S+) => not found", lambda m: ("missing", m[1])),
    (r"\t\S+ => (\S+) \(0x", lambda m: ("load", m[1])),
    (r"\t(/\S+) \(0x", lambda m: ("load", m[1])),
    (r"undefined symbol: (\S+), version (\S+)\t", lambda m: ("undefined", f"{m[1]}@{m[2]}")),
    (r"undefined symbol: (\S+)\t", lambda m: ("undefined", m[1])),
    (r".*: version `(\S+)' not found", lambda m: ("version", m[1])),
    (r"Error loading shared library (\S+): ", lambda m: ("missing", m[1])),
    (r"Error relocating \S+: (\S+): symbol not found", lambda m: ("undefined", m[1])),
]
# What a linker will not look at, and what is loaded with every file and by no name.
REFUSED = re.compile(r".*(only ET_DYN and ET_EXEC can be loaded|wrong ELF class|Not a valid dynamic program|no dynamic section|"
                     r"cannot dynamically load|cannot load static)")
IGNORED = re.compile(r"\tstatically linked|\tlinux-(vdso|gate)\.so|\tldd \(0x|.*: no version information available|$")


def theirs(lines):
    found, refused, odd = {}, set(), []
    root = None
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("== "):
            root = line[3:]
            found[root] = set()
        elif REFUSED.match(line):
            refused.add(root)
        elif not IGNORED.match(line):
            matched = next((make(m) for p, make in PATTERNS if (m := re.match(p, line))), None)
            if matched:
                found[root].add(matched)
            else:
                odd.append(f"{root}: {line}")
    return found, refused, odd


def main():
    with open(sys.argv[1]) as a, open(sys.argv[2]) as b:
        mine, (linkers, refused, odd) = ours(a), theirs(b)
    differences = list(odd)
    files = facts = 0
    for root, expected in sorted(linkers.items()):
        if root in refused:
            continue
        # The linker lists itself by the name it was called by, whoever needs it or not; musl's is the C library too.
        own = lambda fact: fact[0] == "load" and re.search(r"/(ld-[^/]*|libc\.musl-[^/]*)$", fact[1])
        expected = {fact for fact in expected if not own(fact)}
        here = {fact for fact in mine.get(root, set()) if not own(fact)}
        files += 1
        facts += len(expected)
        differences += [f"{root}: only the linker: {fact}" for fact in sorted(expected - here)]
        differences += [f"{root}: only ours: {fact}" for fact in sorted(here - expected)]
    differences += [f"{root}: only ours" for root in sorted(set(mine) - set(linkers))]
    for difference in differences[:50]:
        print(difference)
    print(f"{files} files, {facts} facts, {len(refused)} refused, {len(differences)} differences")
    return 1 if differences or files == 0 or facts == 0 else 0


sys.exit(main())
