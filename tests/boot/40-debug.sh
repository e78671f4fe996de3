# shellcheck shell=bash
# DEBUG_VM, PROVE_LOCKING, init_on_alloc, page table checks and page checks; memory
# errors, too.
kernel debug
machine 2 6G
append hugetlb_free_vmemmap=on

check "pools of every size" pools,hvo=on
check "cycles of alloc, demote, free" cases,cycles,rounds=10
check "readers of every struct page meanwhile" cases,readers,seconds=10
check "surplus pages at run time" cases,overcommit
check "errors in free huge pages" poison,unused,rounds=1
check "errors in huge pages in use" poison,used,rounds=1
check "errors in pages of the largest size" poison,gigantic
check "errors in huge pages on the move" poison,moving,seconds=5
check "errors in huge pages that are split" poison,moving,seconds=4,batches=4,demote
