#!/bin/sh
# SPDX-License-Identifier: MIT
# Run in a build directory made with --coverage, after its tests: which part of
# the lines of each source of the library and the programs ran.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

find lib bin -name '*.gcno' | while IFS= read -r notes; do
	gcov -n "$notes"
done >"$scratch/gcov" 2>"$scratch/errors" || { cat "$scratch/errors" >&2; exit 1; }

# gcov prints "File 'PATH'" and "Lines executed:P% of N" for each source; a
# source compiled twice, for both libraries, counts where more of it ran.
awk -F "'" '
/^File / { file = $2 }
/^Lines executed:/ && file ~ /(^|\/)(lib\/[a-z]+|bin)\/[^\/]*\.c$/ {
	n = split(file, part, "/")
	name = part[n - 1] "/" part[n]
	text = $0
	sub(/.*executed:/, "", text)
	split(text, value, /% of /)
	if (!(name in percent) || value[1] > percent[name]) {
		percent[name] = value[1]
		lines[name] = value[2]
	}
}
END {
	for (name in percent) {
		printf "%6.1f%% of %4d lines  %s\n", percent[name], lines[name], name
		all += lines[name]
		ran += lines[name] * percent[name] / 100
	}
	if (!all)
		exit 1
	printf "%6.1f%% of %4d lines  %s\n", 100 * ran / all, all, "~ all"
}' "$scratch/gcov" | sort -k 5
