# shellcheck shell=bash
# Writes to memory that is read-only for another reason, with HVO in use: each is
# the oops that it always was.
kernel guest
machine 2 4G
append hugetlb_free_vmemmap=on

twin "a write that is let through is noticed" watch,read-only,busted 'the write was let through'
check "writes to read-only memory" watch,read-only
expects "three faults" 3 'Unable to handle kernel write to read-only memory at'
expects "three oopses" 3 'Internal error: Oops: 0*96000[01]4[ef] '
