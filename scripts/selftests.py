#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare what the kernel's selftests said with HVO on and with HVO off.

selftests.py BASE DIRECTORY OFF ON NAME...	judge these tests
selftests.py BASE DIRECTORY OFF ON write JSON MARKDOWN KEY=VALUE... -- NAME...

DIRECTORY is tests/selftests. OFF and ON are what tests/guest/selftests.c wrote. Prints for
each test "ok NAME", "not ok NAME" or "skip NAME", and lines "# TEXT" that say why. Exits
with 1 if one is not ok.

A subtest is a line of TAP, or of the two formats of its own that a test has; so is how the
test ended, "exit". Both boots must have the same subtests with the same result. One that
fails or is skipped in both needs a reason: its own text if it is skipped, or a line of
DIRECTORY/reasons, "NAME BASES PATTERN: REASON".
"""
import json
import os
import re
import sys

TAP = re.compile(r'^\s*(not ok|ok)\b\s*\d*\s*(?:- )?(.*)$')
SKIPPED = re.compile(r'\s*#\s*SKIP\b\s*(.*)$', re.I)
# What the tests' authors know to fail, as often as not, counts as passed either way.
XFAIL = re.compile(r'^\s*#\s*XFAIL\s+')
RUN = re.compile(r'^# \[RUN\] (.*)$')
IN_BRACKETS = re.compile(r'^(.*) \(([^()]*)\)$')
UFFD = re.compile(r'^Testing (.*?)\.\.\. ?(done|skipped|failed)(.*)$')
DOTS = re.compile(r'^\s*(?:\[\w+\]\s*)?(.*?)\.\.\.(PASSED|FAILED|SKIPPED)$')
POINTER = re.compile(r'0x[0-9a-f]+')


def subtest(line):
    """(name, result, text) of a line that is a subtest's result, or None."""
    found = TAP.match(line)
    if found:
        name, text = XFAIL.sub('', found.group(2)), ''
        result = 'ok' if found.group(1) == 'ok' else 'fail'
        skipped = SKIPPED.search(name)
        if skipped:
            name, text, result = name[:skipped.start()], skipped.group(1), 'skip'
        return name, result, text
    found = UFFD.match(line)
    if found:
        text = found.group(3).strip(' []').replace('reason: ', '')
        return found.group(1), {'done': 'ok', 'skipped': 'skip'}.get(found.group(2), 'fail'), text
    found = DOTS.match(line)
    if found:
        return found.group(1), {'PASSED': 'ok', 'SKIPPED': 'skip'}.get(found.group(2), 'fail'), ''
    return None


def name_and_reason(name, text, run, remark):
    """The same, from tests that write one where others write the other."""
    if run:
        if run in (name, text):
            return run, remark if text else ''
        return run, text or name
    found = None if name.strip() else IN_BRACKETS.match(text)
    return found.groups() if found else (name, text)


def ended(how, lines):
    """The result and the text of how a test ended."""
    if how == 'exit=0':
        return 'ok', ''
    if how != 'exit=4':
        return 'fail', how
    last = next((text for text in reversed(lines) if text.strip()), '')
    return 'skip', re.sub(r'^(1\.\.0)?[# ]*(SKIP )?', '', last)


def finish(name, rest, lines, tries):
    """The record of a test, of the last time that it was tried."""
    how, *pairs = rest.split()
    values = {key: float(value) for key, value in (pair.split('=') for pair in pairs)}
    subtests, times = {}, {}
    run = remark = ''
    for line in lines:
        found = subtest(line)
        if not found:
            begun = RUN.match(line)
            if begun:
                run, remark = begun.group(1), ''
            elif line.startswith('# '):
                remark = line[2:]
            continue
        title, text = name_and_reason(found[0], found[2], run, remark)
        run = ''
        key = POINTER.sub('0x*', title.strip()) or 'unnamed'
        times[key] = times.get(key, 0) + 1
        if times[key] > 1:
            key = f'{key} ({times[key]})'
        subtests[key] = {'result': found[1], 'text': text}
    result, text = ended(how, lines)
    subtests['exit'] = {'result': result, 'text': text}
    return {'tries': tries, 'how': how, 'seconds': values['seconds'],
            **{key: int(values[key]) for key in ('optimized', 'leaked_kb', 'kept', 'short')},
            'subtests': subtests}


def read_results(path):
    """{test: record} of a boot; a test that did not come to its end is left out."""
    tests, name, lines, tries = {}, None, [], 0
    with open(path, encoding='utf-8', errors='replace') as f:
        for line in f:
            line = line.rstrip('\n')
            if line.startswith('test '):
                name, tries = line.split()[1], int(line.split()[2])
                lines = []
            elif line.startswith('| '):
                lines.append(line[2:])
            elif line.startswith('end ') and name == line.split()[1]:
                record = finish(name, line.split(None, 2)[2], lines, tries)
                # A test that is tried again does not make good what it has lost.
                for key in ('leaked_kb', 'short'):
                    record[key] = record[key] or tests.get(name, record)[key]
                tests[name] = record
    return tests


def read_reasons(directory, base):
    """[(test, pattern, reason)]"""
    reasons = []
    with open(os.path.join(directory, 'reasons'), encoding='utf-8') as f:
        for line in f:
            if line.startswith('#') or not line.strip():
                continue
            head, reason = line.rstrip('\n').split(': ', 1)
            name, bases, pattern = head.split(None, 2)
            if bases in ('all', base):
                reasons.append((name, re.compile(pattern), reason))
    return reasons


def reason_for(name, key, record, reasons):
    """Why a subtest did not pass, or None."""
    for test, pattern, reason in reasons:
        if test == name and pattern.search(key):
            return reason
    return record['text'] if record['result'] == 'skip' and record['text'] else None


def word(record):
    if not record:
        return 'is not there'
    return record['result'] + (f' ({record["text"]})' if record['text'] else '')


def judge(name, off, on, reasons):
    """(verdict, [what is wrong], [reasons])"""
    wrong, why = [], []
    for boot, record in (('off', off), ('on', on)):
        if not record:
            wrong.append(f'{name} did not come to its end with HVO {boot}')
    if wrong:
        return 'not ok', wrong, why
    for boot, record in (('off', off), ('on', on)):
        if record['leaked_kb']:
            wrong.append(f'{record["leaked_kb"]} KiB of the memmap did not come back with HVO {boot}')
        if record['short']:
            wrong.append(f'the pools lack {record["short"]} pages with HVO {boot}')
    if off['optimized']:
        wrong.append(f'{off["optimized"]} huge pages were optimized with HVO off')
    if not on['optimized']:
        wrong.append('no huge page was optimized with HVO on')
    if off['kept'] != on['kept']:
        wrong.append(f'{off["kept"]} huge pages cannot be freed with HVO off, {on["kept"]} with HVO on')
    failed = any(r['result'] == 'fail' for k, r in on['subtests'].items() if k != 'exit')
    for key in list(dict.fromkeys([*off['subtests'], *on['subtests']])):
        a, b = off['subtests'].get(key), on['subtests'].get(key)
        if not a or not b or a['result'] != b['result']:
            wrong.append(f'{key}: {word(a)} with HVO off, {word(b)} with HVO on')
        elif a['result'] != 'ok':
            reason = reason_for(name, key, b, reasons)
            if reason:
                why.append((key, a['result'], reason))
            elif key == 'exit' and a == b and a['text'] == 'exit=1' and failed:
                continue    # for what failed before
            else:
                wrong.append(f'{key}: {word(a)} with HVO off and on, and no reason is known')
    if wrong:
        return 'not ok', wrong, why
    none = not any(r['result'] == 'ok' for r in on['subtests'].values())
    return 'skip' if none else 'ok', wrong, why


def short(record):
    """A test in a table."""
    if not record:
        return 'no end'
    count = {}
    for r in record['subtests'].values():
        count[r['result']] = count.get(r['result'], 0) + 1
    return ', '.join(f'{count[k]} {k}' for k in ('ok', 'fail', 'skip') if k in count)


def grouped(why):
    """Reasons with the number of subtests that each is for."""
    count = {}
    for _, result, reason in why:
        count[result, reason] = count.get((result, reason), 0) + 1
    return [f'{n} {result}: {reason}' for (result, reason), n in count.items()]


def write(args, names, verdicts, off, on):
    """out/selftests.json and out/selftests.md."""
    facts = dict(pair.split('=', 1) for pair in args[2:])
    tests = [{'name': n, 'verdict': verdicts[n][0], 'wrong': verdicts[n][1],
              'reasons': [dict(zip(('subtest', 'result', 'reason'), w)) for w in verdicts[n][2]],
              'off': off.get(n), 'on': on.get(n)} for n in names]
    with open(args[0], 'w', encoding='utf-8') as f:
        json.dump({**facts, 'tests': tests}, f, indent=1)
        f.write('\n')
    with open(args[1], 'w', encoding='utf-8') as f:
        f.write(', '.join(f'{k} {v}' for k, v in facts.items()) + '\n\n')
        f.write('| test | HVO off | HVO on | optimized | verdict | reason |\n|---|---|---|---:|---|---|\n')
        for n in names:
            verdict, wrong, why = verdicts[n]
            text = '; '.join([*wrong, *grouped(why)]).replace('|', '\\|')
            f.write(f'| {n} | {short(off.get(n))} | {short(on.get(n))} | '
                    f'{on[n]["optimized"] if n in on else ""} | {verdict} | {text} |\n')


def main():
    base, directory, off, on, *rest = sys.argv[1:]
    args = []
    if rest[:1] == ['write']:
        args, rest = rest[1:rest.index('--')], rest[rest.index('--') + 1:]
    off, on = read_results(off), read_results(on)
    reasons = read_reasons(directory, base)
    verdicts = {n: judge(n, off.get(n), on.get(n), reasons) for n in rest}
    for n, (verdict, wrong, why) in verdicts.items():
        print(verdict, n)
        for text in [*wrong, *grouped(why)]:
            print('#', text)
        for boot, record in (('off', off.get(n)), ('on', on.get(n))):
            if record and record['tries'] > 1:
                print(f'# tried {record["tries"]} times with HVO {boot}')
    if args:
        write(args, rest, verdicts, off, on)
    return any(v[0] == 'not ok' for v in verdicts.values())


if __name__ == '__main__':
    sys.exit(main())
