# shellcheck shell=bash
# PREEMPT_RT: the updater and the handler where nearly everything sleeps.
kernel rt
rare
machine 2 6G
append hugetlb_free_vmemmap=on

check "pools of every size" pools,hvo=on
check "cycles of alloc, demote, free" cases,cycles,rounds=5
check "readers of every struct page meanwhile" cases,readers,seconds=10
check "surplus pages at run time" cases,overcommit
check "memory pressure during restore" cases,pressure
check "errors in huge pages on the move" poison,moving,seconds=10
