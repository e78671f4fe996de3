# shellcheck shell=bash
# Memory errors, hard and soft, in huge pages that are free, in use, and on their
# way into the pool or out of it. "Memory failure" on the console is what is asked
# for. No init_on_alloc: with page checks the allocator would sort out the pages
# that the plain-tail check is to find.
kernel guest
arch arm64 x86_64
machine 2 6G
append hugetlb_free_vmemmap=on
# Upstream's HVO gives tails back without a look at them, poisoned or not, and restores each
# page of the vmemmap as a copy of the first one, poison and all.
unchecked=
[ "$ARCH" = arm64 ] || unchecked=,unchecked

check "errors in free huge pages" poison,unused,rounds=2
twin "a page poisoned by nobody is noticed" poison,unused,rounds=1,places=1,forget 'is poisoned, though nobody poisoned it'
twin "a lost poison is noticed" poison,unused,rounds=1,places=1,invent 'lost its poison'
check "errors in huge pages in use" poison,used,rounds=2
twin "contents that changed are noticed" poison,used,rounds=1,places=1,busted 'the contents are gone'
check "errors in pages of the largest size" poison,gigantic
check "errors in huge pages on the move" poison,moving,seconds=10$unchecked
check "errors in huge pages that are split" poison,moving,seconds=6,demote$unchecked
twin "a page poisoned by nobody is noticed, on the move" poison,moving,seconds=1,busted$unchecked 'is poisoned, though nobody poisoned it'
