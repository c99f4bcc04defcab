#!/usr/bin/env python3
"""compare-findings.py NAME OURS TRIVY ALLOWED: whether two scans of one image have the same findings.

OURS is what `patchkit scan --format json` prints, TRIVY what `trivy image --format json` prints. A finding is its id,
the package's name and installed version, and the fixed version. ALLOWED has the reasoned differences, one a line:
image, side (`ours` or `trivy`), pattern of the finding (with * and ?), reason, separated by blanks.
"""

import fnmatch
import json
import sys


def ours(path):
    for report in json.load(open(path)):
        packages = {package["purl"]: package for package in report["packages"]}
        for finding in report["findings"]:
            package, fix = packages[finding["package"]], finding["fix"]
            yield "/".join([finding["id"], package["name"], package["version"]["text"], fix.get("version", {}).get("text", "")])


def trivy(path):
    for result in json.load(open(path)).get("Results", []):
        for found in result.get("Vulnerabilities", []):
            yield "/".join(
                [found["VulnerabilityID"], found["PkgName"], found["InstalledVersion"], found.get("FixedVersion", "")]
            )


def main():
    name, mine, theirs = sys.argv[1], set(ours(sys.argv[2])), set(trivy(sys.argv[3]))
    rules = [line.split(None, 3) for line in open(sys.argv[4]) if line.strip() and not line.startswith("#")]
    left = []
    for side, only in ("ours", mine - theirs), ("trivy", theirs - mine):
        for finding in sorted(only):
            if not any(fnmatch.fnmatchcase(name, i) and s == side and fnmatch.fnmatchcase(finding, p) for i, s, p, _ in rules):
                left.append(f"only {side} has {finding}")
    print(f"{name}: {len(mine)} findings of ours, {len(theirs)} of trivy, {len(left)} differences that no rule explains")
    for line in left[:40]:
        print(f"  {line}")
    sys.exit(1 if left else 0)


main()
