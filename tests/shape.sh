#!/bin/sh
# SPDX-License-Identifier: MIT
# The shape of the sources: lengths, licence tags, no paths of somebody's
# machine, and shared memory touched only by the means made for it.
. "${srcdir:-.}/tests/policy.sh"
make_scratch

max_function=80
max_file=500
max_line=120

# Each check is one pass over all files: they are hundreds, and a process for each takes its time.
cd "$srcdir" || exit 1
srcdir=.

# Functions are from a brace in the first column to a brace in the first column.
# shellcheck disable=SC2046 # one word for each file
awk -v max_function=$max_function -v max_line=$max_line -v max_file=$max_file '
FNR == 1 { start = 0 }
/^[^ \t{}#\/*]/ && /\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
/^\{/ { start = FNR }
/^\}/ && start {
	n = FNR - start + 1
	if (n > max_function)
		printf "%s:%d: function %s has %d lines, over %d\n", FILENAME, start, name, n, max_function
	start = 0
}
{
	columns = 0
	parts = split($0, part, "\t")
	for (i = 1; i <= parts; i++) {
		columns += length(part[i])
		if (i < parts)
			columns += 8 - columns % 8
	}
	if (columns > max_line)
		printf "%s:%d: %d columns, over %d\n", FILENAME, FNR, columns, max_line
	lines[FILENAME] = FNR
}
END {
	for (file in lines)
		if (lines[file] > max_file && file !~ /^tests\//)
			printf "%s: %d lines, over %d\n", file, lines[file], max_file
}' $(c_sources lib bin tests) >"$scratch/report"

# A program cannot include base/atomic.h; it has the standard's.
# shellcheck disable=SC2046
strip_c_named $(c_sources lib bin) | awk '
function forbid(regex, why) {
	if (code ~ regex)
		printf "%s: %s\n", place, why
}
{
	match($0, /^[^:]*:[0-9]*:/)
	place = substr($0, 1, RLENGTH - 1)
	code = substr($0, RLENGTH + 1)
	file = place
	sub(/:.*/, "", file)
}
code !~ /asm volatile|volatile sig_atomic_t/ {
	forbid("(^|[^_[:alnum:]])volatile([^_[:alnum:]]|$)", "volatile is no ordering; see base/atomic.h")
}
file != "lib/base/atomic.h" { forbid("__(sync|atomic)_", "atomic accesses have names in base/atomic.h") }
file !~ /^bin\// {
	forbid("_Atomic|stdatomic[.]h|(^|[^_[:alnum:]])atomic_(load|store|exchange|compare|fetch|thread_fence)",
		"atomic accesses have names in base/atomic.h")
}
file !~ /^lib\/base\// {
	forbid("SYS_futex|__NR_futex|FUTEX_[A-Z]+|linux/futex[.]h", "futex calls are in lib/base only")
}' >>"$scratch/report"

# shellcheck disable=SC2046
set -- $(sources lib bin tests man m4 .ci .clang-format .editorconfig .gitignore HACKING.md Makefile.am NEWS \
	README.md bootstrap configure.ac | grep -v '^m4/libtool\.m4$\|^m4/lt.*\.m4$')
awk '
FNR <= 3 && /SPDX-License-Identifier: MIT/ { tagged[FILENAME] }
END {
	for (i = 1; i < ARGC; i++)
		if (!(ARGV[i] in tagged))
			printf "%s: no SPDX tag in its first three lines\n", ARGV[i]
}' "$@" >>"$scratch/report"
grep -nHE '(^|[^[:alnum:]_.$}*-])/(work|root|home|tmp/wt)/' "$@" |
	sed "s/^\([^:]*:[0-9]*\):.*/\1: a path of somebody's machine/" >>"$scratch/report"

while IFS= read -r line; do
	fail "$line"
done <"$scratch/report"
finish
