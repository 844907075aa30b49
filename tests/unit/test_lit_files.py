"""The tests of tests: a check in a lit file that nothing reads would pass forever."""

import re
from pathlib import Path

import pytest

LIT = Path(__file__).parents[1] / "lit"
FILES = sorted(path for suffix in ("*.mlir", "*.test") for path in LIT.rglob(suffix) if "inputs" not in path.parts)

_RUN = re.compile(r"RUN: ?(.*)")
_SUFFIXES = "NEXT|SAME|NOT|DAG|LABEL|EMPTY|COUNT-[0-9]+"
_CHECK = re.compile(
    rf"^\s*(?://|#)\s*([A-Z][A-Z0-9_-]*?)(?:-(?:{_SUFFIXES}))?(?:{{LITERAL}})?(?P<colon>[:\uff1a\ufe55\ua789])"
)
_PREFIX = re.compile(r"--?check-prefix(?:es)?[= ](\S+)")
_NO_CHECK = {"RUN", "REASON", "REQUIRES", "UNSUPPORTED", "XFAIL", "NOTE"}


def commands(text):
    """Return the RUN lines of a file, continuations joined."""
    joined, found = "", []
    for part in _RUN.findall(text):
        joined += part
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        found.append(joined)
        joined = ""
    return found


def prefixes(text):
    """Return the check prefixes that some RUN line passes to FileCheck."""
    used = set()
    for command in commands(text):
        for part in command.split("|"):
            if "FileCheck" in part:
                listed = [name for names in _PREFIX.findall(part) for name in names.split(",")]
                used |= set(listed or ["CHECK"])
    return used


def checks(text):
    """Return (prefix, colon) of every line that looks like a check."""
    return [(match[1], match["colon"]) for line in text.splitlines() if (match := _CHECK.match(line))]


def faults(text):
    """Return what is wrong with a lit file."""
    found = []
    used = prefixes(text)
    written = {prefix for prefix, _ in checks(text)} - _NO_CHECK
    if not commands(text):
        found.append("no RUN line")
    found += [f"{prefix}: no RUN line uses this prefix" for prefix in sorted(written - used)]
    found += [f"{prefix}: a RUN line uses this prefix, and no check has it" for prefix in sorted(used - written)]
    found += [f"{prefix}: not an ASCII colon" for prefix, colon in checks(text) if colon != ":"]
    for command in commands(text):
        verifies = "--verify-diagnostics" in command and "expected-" in text
        writes = re.search(r"-o (\S+)|=(%t\S*)", command)
        feeds = writes is not None and any((writes[1] or writes[2]) in c for c in commands(text) if c is not command)
        if not ("FileCheck" in command or verifies or feeds or "REASON:" in text):
            found.append(f"nothing checks the output of: {command.strip()}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIT)))
def test_every_check_is_read(path):
    """Prefixes are used, colons are ASCII, and every RUN line is checked or says REASON: why not."""
    assert faults(path.read_text()) == []


def test_there_are_lit_files():
    """The tests above are about something."""
    assert len(FILES) > 20


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("// CHECK: x\n", "no RUN line"),
        ("// RUN: stepwell-opt %s | FileCheck %s\n// CHECK: x\n// OTHER: y\n", "OTHER: no RUN line uses this prefix"),
        ("// RUN: stepwell-opt %s | FileCheck %s\n", "CHECK: a RUN line uses this prefix, and no check has it"),
        ("// RUN: stepwell-opt %s | FileCheck %s\n// CHECK: y\n// CHECK\uff1a x\n", "CHECK: not an ASCII colon"),
        ("// RUN: stepwell-opt %s\n", "nothing checks the output of: stepwell-opt %s"),
        (
            "// RUN: stepwell-opt %s | FileCheck %s --check-prefixes=A,B\n// A: x\n// B-NEXT: y\n// CHECK: z\n",
            "CHECK: no RUN line uses this prefix",
        ),
        ("// RUN: stepwell-opt %s --verify-diagnostics\n", "nothing checks the output of"),
    ],
)
def test_faults_are_found(text, fault):
    """Each kind of fault is reported for a file that has it."""
    assert any(fault in found for found in faults(text)), faults(text)


def test_good_files_have_no_faults():
    """Continued commands, several prefixes, files between commands and reasons are understood."""
    good = [
        "// RUN: stepwell-opt %s \\\n// RUN:   | FileCheck %s --check-prefix=A\n// A-NOT: x\n// A-COUNT-2: y\n",
        "// RUN: stepwell-opt %s -o %t.mlir\n// RUN: FileCheck %s --input-file=%t.mlir\n// CHECK{LITERAL}: [[x]]\n",
        "// RUN: stepwell-opt %s --verify-diagnostics\n// expected-error@below {{x}}\n",
        "// REASON: must only not crash\n// RUN: stepwell-opt %s -o /dev/null\n",
    ]
    for text in good:
        assert faults(text) == []
