#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does the model say what the C code does?

Usage: bound.py C_FILE CHAIN_HEADER MODEL LIST

Three things are compared:

- The legal steps of the C code, its table shadow_next[], with those of the
  header that the model is made of.
- The operations of each C function, in the order of the text, with the labels
  in the model's comments, "C: FUNCTION: OPERATION", in the order of its text.
  Every call in the C code is an operation unless LIST says "pass NAME"; the
  functions that LIST calls "out" are not part of the protocol.
- "P: FUNCTION: OPERATION" labels something that the model does and the C code
  does not, yet. It must not be there.

Prints one line for each difference, and exits with 1 if there is any.
"""
import re
import sys

KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "typeof", "do",
            "offsetof", "static_assert", "__attribute__", "defined"}


def strip(text):
    """Without comments, strings, and preprocessor lines; lines are kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', blank, text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)


def functions(text):
    """Yield (name, body) of every function in kernel style."""
    for m in re.finditer(r"^\{$(.*?)^\}$", text, flags=re.S | re.M):
        head = text[:m.start()].rstrip()
        start = max(head.rfind(";"), head.rfind("}"))
        name = re.search(r"(\w+)\s*\(", head[start + 1:])
        while name and name.group(1) in ("early_param", "late_initcall",
                                         "EXPORT_SYMBOL_GPL",
                                         "DEFINE_SHOW_ATTRIBUTE"):
            name = re.compile(r"(\w+)\s*\(").search(head[start + 1:], name.end())
        if name:
            yield name.group(1), m.group(1)


def calls(body):
    return [n for n in re.findall(r"\b(\w+)\s*\(", body) if n not in KEYWORDS]


def read_list(path):
    passed, out = set(), set()
    for line in open(path, encoding="utf-8"):
        word = line.split("#")[0].split()
        if not word:
            continue
        {"pass": passed, "out": out}[word[0]].update(word[1:])
    return passed, out


def c_table(text):
    """The steps of shadow_next[], or None if there is no such table."""
    m = re.search(r"shadow_next\[[^\]]*\]\s*=\s*\{(.*?)\};", text, flags=re.S)
    if not m:
        return None
    steps = set()
    for entry in re.split(r"\[VMEMMAP_SHADOW_(?=\w+\]\s*=)", m.group(1))[1:]:
        start = re.match(r"\w+", entry).group(0)
        for to in re.findall(r"BIT\(VMEMMAP_SHADOW_(\w+)\)", entry):
            steps.add((start, to))
    return steps


def header_table(text):
    return {(a, b) for a, b in
            re.findall(r"\bSHADOW_STEP\(SHADOW_TAG_(\w+), SHADOW_TAG_(\w+)\)", text)}


def main(c_path, header_path, model_path, list_path):
    raw = open(c_path, encoding="utf-8").read()
    model = open(model_path, encoding="utf-8").read()
    header = open(header_path, encoding="utf-8").read()
    passed, out = read_list(list_path)
    bad = []

    steps = header_table(header)
    if len(steps) < 1:
        bad.append("the header names no step")
    table = c_table(raw)
    if table is None:
        if "SHADOW_CHAIN_HAS" not in raw:
            bad.append("the C code has neither shadow_next[] nor SHADOW_CHAIN_HAS()")
    else:
        bad += ["step %s to %s: in the C code only" % s for s in sorted(table - steps)]
        bad += ["step %s to %s: in the header only" % s for s in sorted(steps - table)]
    if "vmemmap_shadow_chain.h" not in model:
        bad.append("the model does not include the header")

    labels = {}
    for kind, func, op in re.findall(r"\b([CP]): (\w+): (\w+)", model):
        labels.setdefault(func, []).append((kind, op))
    seen, found = set(), set()
    for func, body in functions(strip(raw)):
        seen.add(func)
        if func in out:
            found.add(func)
            continue
        ops = calls(body)
        found.update(ops)
        ops = [o for o in ops if o not in passed]
        mine = [o for k, o in labels.get(func, []) if k == "C"]
        if ops != mine:
            bad.append("%s: the C code has %s; the model has %s" %
                       (func, ", ".join(ops) or "nothing", ", ".join(mine) or "nothing"))
        for kind, op in labels.get(func, []):
            if kind == "P" and op in calls(body):
                bad.append("%s: %s is in the C code now: make the label a C" % (func, op))
    for func in sorted(set(labels) - seen):
        bad.append("%s: labelled in the model, and not in the C code" % func)
    for func in sorted(set(labels) & out):
        bad.append("%s: labelled in the model, and out in the list" % func)
    for name in sorted((passed | out) - found):
        bad.append("%s: in the list, and not in the C code" % name)

    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
