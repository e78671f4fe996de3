# shellcheck shell=bash
# The option is built in but nobody asked for it.
kernel guest
arch arm64 x86_64
machine 2 4G
append hugetlb_free_vmemmap=off

check "pools of every size" pools,hvo=off
