# Put the section of the first file into the second, a kernel's MAINTAINERS, at
# its place in the alphabet. The kernel's list has sections out of order: ours
# goes before the first title above it whose successor is above it as well.

FNR == NR {
	if ($0 != "" || n)
		ours[++n] = $0
	next
}

{ line[++m] = $0 }

/^Maintainers List/ { list = m }

# A title stands after an empty line and before a "X:" line.
list && line[m - 1] == "" && /^[A-Z0-9]/ && !/^[A-Z]:/ { title[++t] = m }

END {
	while (n && ours[n] == "")
		n--
	for (i = 1; i <= t; i++)
		if (line[title[i]] > ours[1] && (i == t || line[title[i + 1]] > ours[1]))
			break
	at = i <= t ? title[i] : m + 1
	for (i = 1; i <= m; i++) {
		if (i == at) {
			for (j = 1; j <= n; j++)
				print ours[j]
			print ""
		}
		print line[i]
	}
}
