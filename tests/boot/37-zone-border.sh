# shellcheck shell=bash
# Pools of the command line on the debug kernel, and a border between zones with a page
# of 1 GiB on either side; then memory errors. (A page across the border is a BUG of 6.12
# when it is freed, with HVO and without: its tails say that they are of the head's zone.)
kernel debug
machine 2 6G
append hugetlb_free_vmemmap=on movablecore=2G hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=64

check "pools of the command line" memory,boot-pools,page_ext=8,once
twin "pools that are not there are noticed" memory,boot-pools,page_ext=8 'the command line asked for'
check "state agrees with the pool" watch,state
check "a limit of the hugetlb controller" memory,limit
check "errors in huge pages in use" poison,used,rounds=1,places=4
check "errors in huge pages on the move" poison,moving,seconds=5,batches=3
