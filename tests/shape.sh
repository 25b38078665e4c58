#!/bin/sh
# SPDX-License-Identifier: MIT
# The shape of the sources: lengths, licence tags, no paths of somebody's
# machine, and shared memory touched only by the means made for it.
. "${srcdir:-.}/tests/policy.sh"
make_scratch

max_function=80
max_file=500
max_line=120

# Functions are from a brace in the first column to a brace in the first column.
function_lengths()
{
	awk -v max=$max_function -v file="$1" '
	/^[^ \t{}#\/*]/ && /\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
	/^\{/ { start = NR }
	/^\}/ && start {
		if (NR - start + 1 > max)
			printf "%s:%d: function %s has %d lines, over %d\n", file, start, name, NR - start + 1, max
		start = 0
	}' "$srcdir/$1"
}

line_lengths()
{
	expand "$srcdir/$1" | awk -v max=$max_line -v file="$1" 'length($0) > max {
		printf "%s:%d: %d columns, over %d\n", file, NR, length($0), max
	}'
}

# forbid FILE REGEX WHY [EXCEPT]: no code line has it, but those that match EXCEPT.
forbid()
{
	strip_c "$srcdir/$1" | grep -nE "$2" | grep -vE "${4:-^$}" | while IFS= read -r hit; do
		echo "$1:${hit%%:*}: $3"
	done
}

for file in $(c_sources lib bin tests); do
	function_lengths "$file"
	line_lengths "$file"
done >"$scratch/report"

for file in $(c_sources lib bin); do
	lines=$(wc -l <"$srcdir/$file")
	[ "$lines" -le $max_file ] || echo "$file: $lines lines, over $max_file"
	forbid "$file" '(^|[^_[:alnum:]])volatile([^_[:alnum:]]|$)' \
		'volatile is no ordering; see base/atomic.h' 'asm volatile|volatile sig_atomic_t'
	[ "$file" = lib/base/atomic.h ] ||
		forbid "$file" '__(sync|atomic)_' 'atomic accesses have names in base/atomic.h'
	# A program cannot include base/atomic.h; it has the standard's.
	case $file in
	bin/*) ;;
	*) forbid "$file" '(_Atomic|stdatomic\.h|(^|[^_[:alnum:]])atomic_(load|store|exchange|compare|fetch|thread_fence))' \
		'atomic accesses have names in base/atomic.h' ;;
	esac
	case $file in
	lib/base/*) ;;
	*) forbid "$file" '(SYS_futex|__NR_futex|FUTEX_[A-Z]+|linux/futex\.h)' 'futex calls are in lib/base only' ;;
	esac
done >>"$scratch/report"

for file in $(sources lib bin tests man m4 .ci .clang-format .editorconfig .gitignore HACKING.md Makefile.am NEWS \
	README.md bootstrap configure.ac); do
	case $file in
	m4/libtool.m4 | m4/lt*.m4) continue ;;
	esac
	head -n 3 "$srcdir/$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file: no SPDX tag in its first three lines"
	grep -nE '(^|[^[:alnum:]_.$}*-])/(work|root|home|tmp/wt)/' "$srcdir/$file" | while IFS= read -r hit; do
		echo "$file:${hit%%:*}: a path of somebody's machine"
	done
done >>"$scratch/report"

while IFS= read -r line; do
	fail "$line"
done <"$scratch/report"
finish
