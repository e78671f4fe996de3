#!/bin/busybox sh
# document SECTION [busted]: run the commands of a section of the administrator's
# document, as they are written there: lines "    # COMMAND" behind the label
# hvo_host_SECTION, up to the next label. Each has to succeed, and to print the lines that
# follow it: "..." at a line's end is anything, and a line "..." any lines. Twin: the
# document promises another number.
/bin/busybox --install -s /bin
dir=/tmp/document
mkdir -p "$dir" /etc/sysctl.d
rm -f "$dir"/*
failed=0

awk -v label=".. _hvo_host_$1:" -v dir="$dir" '
	/^\.\. _/ { on = $0 == label }
	!on { next }
	/^    # / {
		n++
		printf "%s\n", substr($0, 7) >(dir "/command." n)
		printf "" >(dir "/expected." n)
		in_output = 1
		next
	}
	in_output && /^    / { printf "%s\n", substr($0, 5) >(dir "/expected." n); next }
	{ in_output = 0 }
	END { print n + 0 >(dir "/count") }' /doc.rst

count=$(cat "$dir/count")
if [ "$count" -eq 0 ]; then
	echo "# the document has no commands in hvo_host_$1"
	exit 1
fi
n=1
while [ "$n" -le "$count" ]; do
	[ "${2:-}" != busted ] || sed -i 's/KiB, exact/KiB or so/' "$dir/expected.$n"
	echo "+ $(cat "$dir/command.$n")"
	if ! sh "$dir/command.$n" >"$dir/said" 2>&1; then
		failed=1
		echo "# it fails: $(cat "$dir/command.$n")"
		sed 's/^/# /' "$dir/said"
	elif ! awk '
		function same(want, got)
		{
			if (want ~ /\.\.\.$/)
				return index(got, substr(want, 1, length(want) - 3)) == 1
			return want == got
		}
		FILENAME ~ /expected/ { want[++n] = $0; next }
		{ got[++m] = $0 }
		END {
			j = 1
			for (i = 1; i <= n; i++) {
				if (want[i] == "...") {
					any = 1
					continue
				}
				while (any && j <= m && !same(want[i], got[j]))
					j++
				if (j > m || !same(want[i], got[j])) {
					print "# the document has: " want[i]
					exit 1
				}
				any = 0
				j++
			}
			if (n && !any && j <= m) {
				print "# the document does not have: " got[j]
				exit 1
			}
		}' "$dir/expected.$n" "$dir/said"; then
		failed=1
		sed 's/^/# it says: /' "$dir/said"
	fi
	n=$((n + 1))
done
echo "# $count commands of the document"

# For the next section.
for d in /sys/kernel/mm/hugepages/*; do
	echo 0 >"$d/nr_hugepages"
done
for d in /mnt/*; do
	umount "$d" 2>/dev/null
done
exit "$failed"
