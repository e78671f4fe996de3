# shellcheck shell=bash
# What those who use huge pages notice of HVO: the order that a pool gives them, and
# how long a process takes that is started again and again on pages beyond the pool.
kernel guest
arch arm64 x86_64
alone
# With 4G x86-64 has no page of 1 GiB.
machine 2 "$([ "$ARCH" = x86_64 ] && echo 6G || echo 4G)"
append hugetlb_free_vmemmap=on

check "a pool hands out its pages in order" users,order,pages=800,map=700
twin "a pool upside down is noticed" users,order,pages=800,map=700,busted 'filled: [0-9]* steps of 699 ascend, 0 to the next neighbour'
check "a process is started again and again" users,restart,pages=1400,rounds=3
twin "a slow start is noticed" users,restart,pages=100,rounds=1,busted 'the bound is'
check "the memory of a process is there when it is gone" users,gone,pages=1400
twin "late memory is noticed" users,gone,pages=100,busted 'the bound is'
