# shellcheck shell=bash
# A pool that leaves 1280 MiB, and the vmemmap in full would have 1556: without pages
# that are mapped to what they share before they have a struct page, the kernel panics
# in sparse_init(). The host lends what the guest touches, 3 GiB.
kernel guest
machine 2 99584M
append hugetlb_free_vmemmap=on hugepagesz=1G hugepages=96
qemu_extra -machine memory-backend=ram \
	-object memory-backend-ram,id=ram,size=99584M,reserve=off

check "a pool that leaves less than its vmemmap" memory,boot-pools,once,tight
check "state agrees with the pool" watch,state
