# shellcheck shell=bash
# The cases of 60-poison on the debug kernel, which looks at locks, page tables and struct
# pages, and unmaps what is free. Fewer pages, places and batches, as far as that is needed.
kernel debug
rare
limit 1500
machine 2 6G
append hugetlb_free_vmemmap=on

check "errors in free huge pages" poison,unused,rounds=1,places=6
twin "a page poisoned by nobody is noticed" poison,unused,rounds=1,places=1,forget 'is poisoned, though nobody poisoned it'
twin "a lost poison is noticed" poison,unused,rounds=1,places=1,invent 'lost its poison'
check "errors in huge pages in use" poison,used,rounds=1,places=6
twin "contents that changed are noticed" poison,used,rounds=1,places=1,busted 'the contents are gone'
check "errors in pages of the largest size" poison,gigantic
check "errors in huge pages on the move" poison,moving,seconds=5,batches=3
check "errors in huge pages that are split" poison,moving,seconds=5,batches=3,demote
twin "a page poisoned by nobody is noticed, on the move" poison,moving,seconds=1,batches=1,busted 'is poisoned, though nobody poisoned it'
