# shellcheck shell=bash
# The option is built in but nobody asked for it. 6G: with 4G x86-64 has no page of 1 GiB.
kernel guest
arch arm64 x86_64
machine 2 6G
append hugetlb_free_vmemmap=off

check "pools of every size" pools,hvo=off
