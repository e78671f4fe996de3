// SPDX-License-Identifier: GPL-2.0
// Stores to a struct page that name no primitive: assignments to its fields,
// and calls that are given the address of one and are not known to only read.
// The lines are marked; sites.py puts them to their functions.
//
// Options: --no-includes. One file at a time: what spatch 1.1.1 guesses of one
// file stays with the next, and it then misses stores there.

@assigned@
struct page *p;
struct page q;
identifier f, g;
assignment operator op;
expression e;
@@
(
* p->f op e
|
* q.f op e
|
* p->f.g op e
|
* q.f.g op e
|
* p->f++
|
* p->f--
|
* ++p->f
|
* --p->f
|
* q.f++
|
* q.f--
)

@address@
struct page *p;
struct page q;
identifier f, g;
identifier fn != {READ_ONCE, atomic_read, data_race, list_empty,
		  list_entry_is_head, list_first_entry, list_is_first,
		  list_is_last, list_next_entry, pr_info, pr_warn, printk,
		  scnprintf, seq_printf, smp_cond_load_acquire,
		  smp_load_acquire, snprintf, test_bit};
@@
(
* fn(..., &p->f, ...)
|
* fn(..., &q.f, ...)
|
* fn(..., &p->f.g, ...)
|
* fn(..., &q.f.g, ...)
)
