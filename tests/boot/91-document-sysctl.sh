# shellcheck shell=bash
# The administrator's document, each command as it is written there: the hosts that have
# HVO and their pool by sysctl.
kernel guest
machine 2 4G

check "a host for a database" document,database
check "pages beyond the pool" document,surplus
twin "another number is noticed" document,surplus,busted 'the document has: Given back: .* or so'
