# shellcheck shell=bash
# Pools of the command line on two nodes, three zones of theirs, and three sizes: pages of
# 1 GiB are mapped early, of 32 MiB and 2 MiB are not.
kernel debug
machine 2 10G
append hugetlb_free_vmemmap=on hugepagesz=1G hugepages=0:3,1:3 hugepagesz=32M hugepages=0:4,1:4 \
	hugepagesz=2M hugepages=0:8,1:8
qemu_extra -object memory-backend-ram,id=n0,size=5G -object memory-backend-ram,id=n1,size=5G \
	-numa node,memdev=n0,cpus=0 -numa node,memdev=n1,cpus=1

twin "pools that leave enough are noticed" memory,boot-pools,page_ext=8,tight 'kB beside the pools, the vmemmap'
check "pools of each node on the command line" memory,boot-pools,page_ext=8,grace=0,once
check "state agrees with the pool" watch,state
check "a pool of each node" memory,nodes
