# shellcheck shell=bash
# KASAN in software: no access to a page of the vmemmap by its alias once it is freed. And
# without preemption: a module that is not GPL takes references to pages.
kernel kasan
rare
machine 2 6G
append hugetlb_free_vmemmap=on
module reference

check "pools of every size" pools,hvo=on
check "cycles of alloc, demote, free" cases,cycles,rounds=5
check "readers of every struct page meanwhile" cases,readers,seconds=10
check "surplus pages at run time" cases,overcommit
check "errors in huge pages on the move" poison,moving,seconds=10
check "a module that is not GPL is loaded" watch,module,name=reference
twin "a module that is not there is noticed" watch,module,name=twin 'the module cannot be loaded'
