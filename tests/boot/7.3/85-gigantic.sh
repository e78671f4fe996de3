# shellcheck shell=bash
# A page of 16 GiB, with memory that starts at 1 GiB: its tails find it by a mask on
# their own address, which wants the vmemmap aligned to it. The host lends what
# the guest touches.
kernel guest
granule 64k
machine 2 40G
append hugetlb_free_vmemmap=on hugepagesz=16G hugepages=1
qemu_extra -machine memory-backend=ram \
	-object memory-backend-ram,id=ram,size=40G,reserve=off

twin "a head that is not there is noticed" memory,heads,busted 'are the head of a huge page, expected 2'
check "the tails of 16 GiB find their head" memory,heads
