# shellcheck shell=bash
# DEBUG_VM, PROVE_LOCKING, init_on_alloc, page table checks and page checks.
kernel debug
machine 2 6G
append hugetlb_free_vmemmap=on

check "pools of every size" pools,hvo=on
check "cycles of alloc, demote, free" cases,cycles,rounds=4
check "readers of every struct page meanwhile" cases,readers,seconds=6
check "surplus pages at run time" cases,overcommit
check "lives, demotion and soft offline against the worker" later,loops,seconds=15
