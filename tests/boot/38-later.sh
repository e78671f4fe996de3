# shellcheck shell=bash
# Pages beyond the pool are optimized a moment later, while they are in use, and not at
# all if they are gone by then.
kernel guest
machine 2 6G
append hugetlb_free_vmemmap=on

check "pages by page fault are optimized later" later,fault
twin "pages that are optimized at once are noticed" later,fault,busted 'kB were given back at once'
check "pages by reservation are optimized later" later,fault,reserve
check "a page of the largest size is optimized later" later,fault,reserve,largest,pages=1
check "pages that die young are not touched" later,young
twin "pages that were touched are noticed" later,young,rounds=1,busted 'entries were stepped'
check "pages noted before HVO is off are optimized, others are not" later,switched
twin "pages that are optimized with HVO off are noticed" later,switched,busted 'kB were given back with HVO off'
check "lives, demotion and soft offline against the worker" later,loops,seconds=30
twin "a page that is left is noticed" later,loops,seconds=4,no-offline,busted 'folios are optimized still'
