#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does the model say what the C code does?

Usage: bound.py C_FILE CHAIN_HEADER MODEL DOCUMENT LIST...

MODEL is all of the model, with what it includes; the LISTs are read as one.

- States and legal steps: the C code and the model both include the header, define
  nothing of it themselves, and the C code asks nothing but SHADOW_CHAIN_HAS()
  whether a step is legal. What the preprocessor makes of the header is what the
  document's table of states and its picture of the chain say.
- The operations of each C function, in the order of the text, are compared with
  the labels in the model's comments, "C: FUNCTION: OPERATION", in the order of
  its text. Every call in the C code is an operation unless LIST says "pass NAME";
  the functions that LIST calls "out" are not part of the protocol.
- A store that is no call, through a pointer or to an array, is none that the model
  could know of: it must be to memory that LIST calls the update's "own".
- "O: FUNCTION: OPERATION" is the same for what the C code does on another base only: it
  stands in a function that looks at SHADOW_AT_REST or SHADOW_WAITS_FOR_READERS.
- "P: FUNCTION: OPERATION" labels something that the model does and the C code
  does not, yet. It must not be there.

Prints one line for each difference, and exits with 1 if there is any.
"""
import re
import subprocess
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
    body = re.sub(r"\basm volatile\b", "asm", body)
    return [n for n in re.findall(r"\b(\w+)\s*\(", body) if n not in KEYWORDS]


def stores(body):
    """The names through which a function stores by itself: *NAME, NAME->, NAME[]."""
    lhs = r"((?:\*\s*)*\w+(?:\s*(?:->|\.)\s*\w+|\s*\[[^\]]*\])*)"
    found = re.findall(r"[;{}):,(]\s*(?:\+\+|--)" + lhs, body)
    found += re.findall(r"[;{}):]\s*" + lhs + r"\s*(?:(?:[-+|&^*/]|<<|>>)?=(?!=)|\+\+|--)",
                        ";" + body)
    return [re.search(r"\w+", s).group(0) for s in found if re.search(r"[*\[]|->", s)]


def read_lists(paths):
    passed, out, own = set(), set(), set()
    for path in paths:
        for line in open(path, encoding="utf-8"):
            word = line.split("#")[0].split()
            if not word:
                continue
            {"pass": passed, "out": out, "own": own}[word[0]].update(word[1:])
    return passed, out, own


def header_chain(header):
    """The states and the steps that the preprocessor sees in the header:
    {name: (tag, maps the shared page, writable)} and {(from, to)}."""
    names = re.findall(r"^#define\s+SHADOW_TAG_(\w+)\s+\d", header, flags=re.M)
    probe = [header]
    for a in names:
        tag = "SHADOW_TAG_" + a
        probe.append("state : %s %s" % (a, tag))
        probe.append("#if SHADOW_TAG_MAPS_SHARED(%s)\nshared : %s\n#endif" % (tag, a))
        probe.append("#if SHADOW_TAG_IS_WRITABLE(%s)\nwritable : %s\n#endif" % (tag, a))
        probe += ["#if SHADOW_CHAIN_HAS(%s, SHADOW_TAG_%s)\nstep : %s %s\n#endif" % (tag, b, a, b)
                  for b in names]
    said = subprocess.run(["cpp", "-P", "-undef", "-nostdinc", "-"], input="\n".join(probe),
                          capture_output=True, text=True, check=True).stdout
    shared = set(re.findall(r"^shared : (\w+)", said, flags=re.M))
    writable = set(re.findall(r"^writable : (\w+)", said, flags=re.M))
    states = {name: (int(tag), name in shared, name in writable)
              for name, tag in re.findall(r"^state : (\w+) (\d+)", said, flags=re.M)}
    return states, set(re.findall(r"^step : (\w+) (\w+)", said, flags=re.M))


def document_bad(text, states, steps):
    """What the document's table and picture say otherwise than the header."""
    table = {name: (int(tag), page != "its own page", permission == "read-write")
             for tag, name, page, permission in
             re.findall(r"^(\d)\s+([A-Z]+)\s+(its own page|the head's vmemmap page)\s+"
                        r"(read-write|read-only)$", text, flags=re.M)}
    bad = ["state %s: not the same in the header and in the document's table" % n
           for n in sorted(states.keys() | table.keys()) if states.get(n) != table.get(n)]
    picture = set()
    for line in re.findall(r"^ +(?:optimize|restore): +(.*)$", text, flags=re.M):
        picture.update(re.findall(r"(?=\b([A-Z]+) --(\w+)--> ([A-Z]+))", line))
    drawn = {(a, b) for a, _, b in picture}
    bad += ["step %s to %s: in the header only" % s for s in sorted(steps - drawn)]
    bad += ["step %s to %s: in the document only" % s for s in sorted(drawn - steps)]
    # Each name is one kind of step: (maps the shared page, writable), before and after.
    kinds = {"seal": lambda a, b: a[0] == b[0] and a[1] and not b[1],
             "open": lambda a, b: a[0] == b[0] and not a[1] and b[1],
             "join": lambda a, b: not a[0] and b[0] and not a[1] and not b[1],
             "part": lambda a, b: a[0] and not b[0] and not a[1] and not b[1]}
    for a, name, b in sorted(picture):
        if (a, b) in steps and not kinds.get(name, lambda a, b: False)(states[a][1:], states[b][1:]):
            bad.append("step %s to %s: it is no %s" % (a, b, name))
    return bad


def chain_bad(raw, header, model, states):
    """Does anything else than the header say what the chain is?"""
    bad = []
    if not re.search(r"^#include <linux/vmemmap_shadow_chain\.h>$", raw, flags=re.M):
        bad.append("the C code does not include the header")
    if not re.search(r'^#include "vmemmap_shadow_chain\.h"$', model, flags=re.M):
        bad.append("the model does not include the header")
    for name in re.findall(r"^#define\s+(\w+)", header, flags=re.M):
        for who, text in ("C code", raw), ("model", model):
            if re.search(r"^\s*#\s*(?:define|undef)\s+%s\b" % name, text, flags=re.M):
                bad.append("%s: defined in the %s, too" % (name, who))
    code = re.sub(r"\s+", " ", strip(raw))
    for theirs, ours in [("VMEMMAP_SHADOW_" + n, "SHADOW_TAG_" + n) for n in states] + \
                        [("VMEMMAP_SHADOW_NR_STATES", "SHADOW_NR_TAGS")]:
        if "static_assert(%s == %s);" % (theirs, ours) not in code:
            bad.append("%s: no static_assert() that it is %s" % (theirs, ours))

    bodies = {name: re.sub(r"\s+", " ", body).strip() for name, body in functions(strip(raw))}
    for name, macro in ("shadow_maps_shared", "MAPS_SHARED"), ("shadow_is_writable", "IS_WRITABLE"):
        if bodies.get(name) != "return SHADOW_TAG_%s(state);" % macro:
            bad.append("%s: does not just return SHADOW_TAG_%s()" % (name, macro))
    # KUnit's, which steps nothing by itself.
    name = "vmemmap_shadow_step"
    if bodies.get(name) != "return shadow_step_once(ptep, __ptep_get(ptep), from, to, pfn);":
        bad.append("%s: does not just return shadow_step_once()" % name)
    name = "shadow_step_once"
    test = re.match(r"if \(([^;]*?)\) return -EINVAL;", bodies.get(name, ""))
    terms = {t.strip() for t in test.group(1).split("||")} if test else set()
    if "!SHADOW_CHAIN_HAS(from, to)" not in terms:
        bad.append("%s: does not begin with a look at SHADOW_CHAIN_HAS()" % name)
        return bad
    others = sorted(terms - {"!SHADOW_CHAIN_HAS(from, to)", "from >= VMEMMAP_SHADOW_NR_STATES",
                             "to >= VMEMMAP_SHADOW_NR_STATES"})
    rest = bodies[name][test.end():]
    others += re.findall(r"\w+ ?\[[^]]*\b(?:from|to)\b[^]]*\]|switch ?\([^)]*\)|"
                         r"VMEMMAP_SHADOW_\w+|SHADOW_TAG\w*|SHADOW_CHAIN\w*", rest)
    bad += ["%s: %s decides about a step, too" % (name, o) for o in others]
    return bad


def main(c_path, header_path, model_path, document_path, *list_paths):
    raw, header, model, document = [open(p, encoding="utf-8").read() for p in
                                    (c_path, header_path, model_path, document_path)]
    passed, out, own = read_lists(list_paths)
    states, steps = header_chain(header)
    bad = chain_bad(raw, header, model, states) + document_bad(document, states, steps)

    labels = {}
    for kind, func, op in re.findall(r"\b([COP]): (\w+): (\w+)", model):
        labels.setdefault(func, []).append((kind, op))
    seen, found = set(), set()
    for func, body in functions(strip(raw)):
        seen.add(func)
        if func in out:
            found.add(func)
            continue
        ops = calls(body)
        found.update(ops)
        found.update(stores(body))
        bad += ["%s: stores through %s, and not by an operation" % (func, name)
                for name in stores(body) if name not in own]
        ops = [o for o in ops if o not in passed]
        mine = [o for k, o in labels.get(func, []) if k in "CO"]
        if ops != mine:
            bad.append("%s: the C code has %s; the model has %s" %
                       (func, ", ".join(ops) or "nothing", ", ".join(mine) or "nothing"))
        if "O" in {k for k, _ in labels.get(func, [])} and \
           not re.search(r"\bif \(SHADOW_(AT_REST|WAITS_FOR_READERS)\b", body):
            bad.append("%s: looks at no constant of the base" % func)
        for kind, op in labels.get(func, []):
            if kind == "P" and op in calls(body):
                bad.append("%s: %s is in the C code now: make the label a C" % (func, op))
    for func in sorted(set(labels) - seen):
        bad.append("%s: labelled in the model, and not in the C code" % func)
    for func in sorted(set(labels) & out):
        bad.append("%s: labelled in the model, and out in the list" % func)
    for name in sorted((passed | out | own) - found):
        bad.append("%s: in the list, and not in the C code" % name)

    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
