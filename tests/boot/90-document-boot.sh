# shellcheck shell=bash
# The administrator's document, each command as it is written there: the hosts that have
# HVO and their pool from the command line.
kernel guest
machine 2 5G
append hugetlb_free_vmemmap=on default_hugepagesz=1G hugepagesz=1G hugepages=2

check "a host for virtual machines" document,virtual_machines
twin "another number is noticed" document,virtual_machines,busted 'the document has: Given back: .* or so'
check "a host for a packet engine" document,packet_engine
twin "a section that is not there is noticed" document,none 'has no commands'
