# shellcheck shell=bash
# A host of virtual machines, at EL2: their memory comes from the pool, or from beyond it.
# One has a few instructions, and writes and reads all the time; one is this kernel.
kernel host
rare
machine 2 6G
limit $((${HOST_SECONDS:-30} * 2 + 900))
append hugetlb_free_vmemmap=on
qemu_extra -machine virtualization=on -m size=6144M \
	-object memory-backend-ram,id=n0,size=3G -object memory-backend-ram,id=n1,size=3G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1
with_vmm

check "a guest on pages of the pool" kvm,run,seconds="${HOST_SECONDS:-30}"
twin "memory that changes behind a guest's back is noticed" kvm,run,seconds=5,busted \
	'the guest read what it had not written'
check "a kernel on pages of the pool" kvm,kernel
twin "a kernel that does nothing is noticed" kvm,kernel,busted 'the guest did not run its case'
check "a kernel on pages beyond the pool" kvm,kernel,surplus
# The last one: Linux 7.3 loses count of such pages, with HVO off, too, and makes no pool then.
check "a guest on pages beyond the pool" kvm,run,surplus,seconds="${HOST_SECONDS:-30}"
