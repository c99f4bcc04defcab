#!/usr/bin/env python3
"""compare-packages.py NAME OURS SYFT ALLOWED: whether two inventories of one image have the same packages.

OURS is what `patchkit inventory --format json` prints, SYFT what `syft -o json` prints. A package is its purl type,
namespace, name and version. ALLOWED has the reasoned differences, one a line: image, side (`ours` or `syft`), purl
pattern (with * and ?), reason, separated by blanks; `*` is every image. Says what differs, and what of the list was
not needed by any image is for the caller to see.
"""

import fnmatch
import json
import sys
from urllib.parse import unquote


def key(purl):
    """The purl without qualifiers and subpath, unescaped."""
    return unquote(purl.split("#")[0].split("?")[0])


def ours(path):
    found = {}
    for image in json.load(open(path)):
        for package in image["packages"]:
            found.setdefault(key(package["purl"]), package)
    return found


def syft(path):
    return {key(a["purl"]): a for a in json.load(open(path))["artifacts"] if a.get("purl")}


def allowed(path, name):
    for line in open(path):
        if line.strip() and not line.startswith("#"):
            image, side, pattern, _reason = line.split(None, 3)
            if fnmatch.fnmatchcase(name, image):
                yield side, pattern


def main():
    name, mine, theirs, rules = sys.argv[1], ours(sys.argv[2]), syft(sys.argv[3]), sys.argv[4]
    rules = list(allowed(rules, name))
    left = []
    for side, only in ("ours", mine.keys() - theirs.keys()), ("syft", theirs.keys() - mine.keys()):
        for purl in sorted(only):
            if not any(s == side and fnmatch.fnmatchcase(purl, p) for s, p in rules):
                left.append(f"only {side} has {purl}")
    print(f"{name}: {len(mine)} packages of ours, {len(theirs)} of syft, {len(left)} differences that no rule explains")
    for line in left[:40]:
        print(f"  {line}")
    sys.exit(1 if left else 0)


main()
