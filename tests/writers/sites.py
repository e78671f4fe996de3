#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""List the places of a kernel tree that store to a struct page.

usage: sites.py files TREE		the files that spatch has to read
       sites.py sites TREE MARKED	the places; MARKED is spatch's output

The places are sorted lines "file:function:primitive", without line numbers, so
that the list is the same for kernels that differ elsewhere.

Primitives are the names in primitives.txt. They are looked for in the text, once
comments, strings and #if 0 are out of it: bodies of macros and code that some
configuration does not build count, and nothing can fail to parse. A store that
is an assignment, or that goes through an address, needs the type of what is on
the left. spatch finds these with stores.cocci; they are put to their functions
here, and the primitive is "->" and the field. What is called page counts in any
case, for the bodies of macros and for members of structures.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Where stores by type are looked for, and the fields of struct page.
STORES_IN = ['mm', 'arch/arm64', 'kernel', 'include/linux', 'virt']
FIELDS = ('flags|lru|mlock_count|buddy_list|pcp_list|mapping|index|share|private|'
          'pp_magic|pp|_pp_mapping_pad|dma_addr|pp_ref_count|compound_head|'
          'compound_info|pgmap|zone_device_data|rcu_head|_mapcount|page_type|'
          '_refcount|memcg_data|virtual|_last_cpupid')
FIELD = r'(->|\.)(' + FIELDS + r')\b'
ASSIGNED = FIELD + r'(\.\w+)* *(([-+*/|&^]|<<|>>)?=[^=]|\+\+|--)'
ADDRESS = r'&[^;]*' + FIELD
PAGE = r'\bpage(\[[^]]*\])?' + ASSIGNED

# Names in front of a function's body that have parentheses of their own.
ATTRIBUTES = {
    '__attribute__', '__printf', '__scanf', '__must_hold', '__acquires',
    '__releases', '__cond_acquires', '__cond_lock', '__aligned', '__section',
    '__alloc_size', '__nonnull', '__malloc', '__realloc_size', '__no_sanitize',
    '__counted_by', '__guarded_by', 'DEFINE_FREE', 'typeof', '__typeof__'}
SYSCALL = re.compile(r'^(COMPAT_)?SYSCALL(32)?_DEFINE\d$')
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def grep(tree, options, expression, places):
    """The files under these places that match."""
    places = [p for p in places if os.path.exists(os.path.join(tree, p))]
    if not places:
        return []
    run = subprocess.run(['grep', '-rlE', *options, '--include=*.[ch]', '-e',
                          expression, *places],
                         cwd=tree, stdout=subprocess.PIPE, text=True)
    if run.returncode > 1:
        sys.exit('grep failed in ' + tree)
    return sorted(run.stdout.split())


def blank(text):
    """The text with blanks for comments and strings. No line moves."""
    return NOT_CODE.sub(lambda m: re.sub(r'[^\n]', ' ', m.group(0)), text)


def function_name(head):
    """The name of what this text, in front of a '{', defines."""
    depth, name, groups = 0, '-', []
    for m in re.finditer(r'\w+|[()=]', head):
        t = m.group(0)
        if t == '(':
            if depth == 0:
                groups.append((name, m.end()))
            depth += 1
        elif t == ')':
            depth -= 1
        elif depth == 0 and t == '=':
            break
        elif depth == 0:
            name = t
    groups = [g for g in groups if g[0] not in ATTRIBUTES]
    if not groups:
        return name
    name, start = groups[0]
    if SYSCALL.match(name):
        return 'sys_' + re.match(r'\s*(\w*)', head[start:]).group(1)
    return name


def functions(lines):
    """For each line, (the function it is in or None, column where that begins).

    The body of a macro counts as a function of the macro's name.
    """
    out, depth, head, name = [], 0, '', None
    conditions, off, macro = [], False, None
    for line in lines:
        begin = 0
        directive = not macro and re.match(r'\s*#\s*(\w+)\s*(\w*)', line)
        if directive:
            what, argument = directive.groups()
            if what in ('if', 'ifdef', 'ifndef'):
                conditions.append((depth, head, name, off))
                off = off or (what, argument) == ('if', '0')
            elif what in ('else', 'elif') and conditions:
                # Each branch starts where the first one did.
                depth, head, name, off = conditions[-1]
            elif what == 'endif' and conditions:
                off = conditions.pop()[3]
            macro = (argument, directive.end()) if what == 'define' else ('', 0)
        if macro:
            out.append((None if off else macro[0] or None, macro[1]))
            macro = (macro[0], 0) if line.endswith('\\') else None
            continue
        here = name
        for column, c in enumerate(line):
            if c == '{':
                if depth == 0:
                    here = name = function_name(head)
                    head, begin = '', column
                depth += 1
            elif c == '}':
                depth = max(0, depth - 1)
                if depth == 0:
                    name, head = None, ''
            elif depth == 0:
                head = '' if c == ';' else head + c
        head += ' '
        out.append((None if off else here, begin))
    return out


class Source:
    def __init__(self, tree, path):
        with open(os.path.join(tree, path), encoding='latin-1') as f:
            self.lines = blank(f.read()).split('\n')
        self.functions = functions(self.lines)
        self.path = path

    def named(self, primitive):
        for line, (function, begin) in zip(self.lines, self.functions):
            if function:
                for m in primitive.finditer(line, begin):
                    if m.group(0) != function:
                        yield '%s:%s:%s' % (self.path, function, m.group(0))

    def stored(self, number):
        """The place of a line that spatch has marked."""
        line = self.lines[number - 1]
        m = re.search(ASSIGNED, line + ' ') or re.search(ADDRESS, line)
        if m:
            yield '%s:%s:->%s' % (self.path, self.functions[number - 1][0],
                                  m.group(2))

    def stored_by_name(self):
        for line, (function, begin) in zip(self.lines, self.functions):
            if function:
                for m in re.finditer(PAGE, line + ' '):
                    yield '%s:%s:->%s' % (self.path, function, m.group(3))


def primitives():
    """[(places, expression)] of primitives.txt."""
    result = []
    with open(os.path.join(HERE, 'primitives.txt')) as f:
        for line in f:
            line = line.split('#')[0].strip()
            if line.startswith('in '):
                result.append((line.split()[1:], []))
            elif line:
                result[-1][1].append(line)
    return [(places, r'\b(' + '|'.join(names) + r')\b')
            for places, names in result]


def marked_lines(diff):
    """(file, line) of what spatch's output marks."""
    path, number = None, 0
    for line in diff:
        if line.startswith('--- '):
            path = os.path.normpath(line[4:].split('\t')[0].strip())
        elif line.startswith('@@'):
            number = int(re.match(r'@@ -(\d+)', line).group(1))
        elif line.startswith('-'):
            yield path, number
            number += 1
        elif line.startswith(' '):
            number += 1


def main():
    if len(sys.argv) == 3 and sys.argv[1] == 'files':
        tree = sys.argv[2]
        stores = grep(tree, [], ASSIGNED + '|' + ADDRESS, STORES_IN)
        print('\n'.join(sorted(set(stores) & set(
            grep(tree, ['-w'], 'struct page', STORES_IN)))))
        return
    if len(sys.argv) != 4 or sys.argv[1] != 'sites':
        sys.exit(__doc__)
    tree, sources, found = sys.argv[2], {}, set()

    def source(path):
        if path not in sources:
            sources[path] = Source(tree, path)
        return sources[path]

    for places, expression in primitives():
        for path in grep(tree, [], expression, places):
            found.update(source(path).named(re.compile(expression)))
    for path in grep(tree, [], PAGE, STORES_IN):
        found.update(source(path).stored_by_name())
    with open(sys.argv[3], encoding='latin-1') as diff:
        for path, number in marked_lines(diff):
            found.update(source(path).stored(number))
    print('\n'.join(sorted(found)))


if __name__ == '__main__':
    main()
