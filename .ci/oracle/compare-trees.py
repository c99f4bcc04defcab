#!/usr/bin/env python3
"""compare-trees.py APT.tar OUR.tar ALLOWED.txt: is our root tree the one that the distribution's own tool makes?

Every path of both trees is compared: type, mode, owner, link target, content, device, hard links, xattrs. Times are
not. Each difference is printed; the exit status is 1 if there is one that ALLOWED.txt does not name.

A line of ALLOWED.txt is `KIND PATTERN  # reason`, and the reason is not optional. KIND is what may be:
  missing   apt has the path, we do not        extra   we have it, apt does not
  content   both have it, the bytes differ     any     whatever it is
In PATTERN `*` stays within one name, `**` crosses folders.
"""

import hashlib
import re
import sys
import tarfile

KINDS = ("missing", "extra", "content", "any")
XATTR = "SCHILY.xattr."
TYPES = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.CONTTYPE: "file", tarfile.GNUTYPE_SPARSE: "file",
    tarfile.SYMTYPE: "symlink", tarfile.DIRTYPE: "folder", tarfile.FIFOTYPE: "pipe",
    tarfile.CHRTYPE: "character device", tarfile.BLKTYPE: "block device",
}


def clean(name):
    """A member's name as an absolute path: `./usr/bin`, `usr/bin/` and `/usr/bin` are `/usr/bin`."""
    return "/" + "/".join(part for part in name.split("/") if part not in ("", "."))


def read_tree(path):
    """Every path of a tree as a dict of what is compared. A hard link has the properties of its target."""
    tree, links = {}, {}
    with tarfile.open(path) as tar:
        for member in tar:
            name = clean(member.name)
            if member.islnk():
                tree[name] = tree[clean(member.linkname)]
                links.setdefault(clean(member.linkname), []).append(name)
                continue
            content = hashlib.sha256()
            if member.isreg():
                with tar.extractfile(member) as file:
                    while chunk := file.read(1 << 20):
                        content.update(chunk)
            tree[name] = {
                "type": TYPES.get(member.type, repr(member.type)),
                "mode": oct(member.mode),
                "owner": f"{member.uid}:{member.gid}",
                "target": member.linkname if member.issym() else "",
                "device": (member.devmajor, member.devminor) if member.ischr() or member.isblk() else None,
                "size": member.size,
                "content": content.hexdigest(),
                "xattrs": {k[len(XATTR):]: v for k, v in member.pax_headers.items() if k.startswith(XATTR)},
            }
    # Which names are one file is a property too; the names are sorted so that the order in the tar does not matter.
    for first, others in links.items():
        names = sorted([first, *others])
        for name in names:
            tree[name] = {**tree[name], "hard links": names}
    return tree


def translate(pattern):
    """A pattern of ALLOWED.txt as a regular expression."""
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(p, re.escape(p)) for p in parts))


def read_allowed(path):
    """The allowances as (kind, regular expression, line). A line without a kind we know or without a reason ends it."""
    allowed = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            rule, _, reason = line.partition("#")
            words = rule.split()
            if not words:
                continue
            if len(words) != 2 or words[0] not in KINDS or not words[1].startswith("/") or not reason.strip():
                sys.exit(f"{path}:{number}: not `KIND /PATTERN  # reason`: {line.strip()}")
            allowed.append((words[0], translate(words[1]), line.strip()))
    return allowed


def difference(apt, our):
    """What differs at one path, as (kind, words), or None. `apt` and `our` are None where there is no such path."""
    if apt == our:
        return None
    if our is None:
        return "missing", f"{apt['type']} is missing in ours"
    if apt is None:
        return "extra", f"{our['type']} is in ours only"
    keys = [k for k in {**apt, **our} if apt.get(k) != our.get(k)]
    kind = "content" if set(keys) <= {"content", "size"} else "any"
    words = (f"{k} {apt.get(k)} became {our.get(k)}" if k != "content" else "content differs" for k in keys)
    return kind, ", ".join(words)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    apt, our = read_tree(sys.argv[1]), read_tree(sys.argv[2])
    allowed = read_allowed(sys.argv[3])
    bad, used = 0, set()
    for path in sorted({*apt, *our}):
        found = difference(apt.get(path), our.get(path))
        if found is None:
            continue
        kind, words = found
        line = next((l for k, r, l in allowed if k in (kind, "any") and r.fullmatch(path)), None)
        if line is None:
            bad += 1
            print(f"{path}: {words}")
        else:
            used.add(line)
    for line in (l for _, _, l in allowed if l not in used):
        print(f"note: nothing needed `{line}`")
    print(f"{len(apt)} paths in apt's tree, {len(our)} in ours: {bad} differ that may not")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
