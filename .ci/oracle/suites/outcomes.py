#!/usr/bin/env python3
"""outcomes.py FORMAT TEST FILE: what a report says, one test a line: outcome, and identity. A second opinion: it reads
the reports of these suites, and no others."""

import re
import sys
import xml.etree.ElementTree as etree


def tap(text):
    for line in re.findall(r"^(?:not )?ok\b.*", text, re.M):
        outcome, name, directive = re.match(r"(not ok|ok) *\d* *(?:- )?([^#]*)(#.*)?", line).groups()
        skipped = directive and re.match(r"# *skip", directive, re.I)
        yield "skipped" if skipped else "passed" if outcome == "ok" else "failed", name.strip()


def junit(text):
    for case in etree.fromstring(text).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "skipped" if "skipped" in kinds else "failed" if kinds & {"failure", "error"} else "passed"
        yield outcome, "%s.%s" % (case.get("classname"), case.get("name"))


def ctest(text):
    for name, word in re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.* *(\*\*\*\w+|\w+)", text, re.M):
        yield {"Passed": "passed", "***Skipped": "skipped"}.get(word, "failed"), name


FORMATS = {"ctest": ctest, "junit": junit, "tap": tap}

if __name__ == "__main__":
    form, test, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        for outcome, name in FORMATS[form](file.read()):
            print("%s\t%s/%s" % (outcome, test, name))
