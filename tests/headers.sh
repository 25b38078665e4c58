#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, and twice, as C11 and as C++17, and so do its initialisers.
. "${srcdir:-.}/tests/policy.sh"

: "${CC:=cc}" "${CXX:=g++}"
need "${CXX%% *}" g++
make_scratch

# objects HEADER: one of each struct that has an initialiser, IPCK_NAME_INIT for struct ipck_name.
objects()
{
	sed -n 's/^#define \(IPCK_[A-Z_]*\)_INIT[ \t].*/\1/p' "$srcdir/lib/$1" | while read -r name; do
		struct=$(echo "$name" | tr '[:upper:]' '[:lower:]')
		echo "extern struct $struct of_$struct;"
		echo "struct $struct of_$struct = ${name}_INIT;"
	done
}

# compiles HEADER NAME COMPILER...
compiles()
{
	header=$1 as=$2
	shift 2
	{
		printf '#include <%s>\n#include <%s>\n' "$header" "$header"
		objects "$header"
	} >"$scratch/alone.c"
	"$@" -Wall -Wextra -Wundef -Werror -pedantic -fsyntax-only -I"$srcdir/lib" "$scratch/alone.c" 2>"$scratch/log" ||
		{ fail "<$header> does not compile alone as $as"; cat "$scratch/log"; }
}

for path in "$srcdir"/lib/ipckit.h "$srcdir"/lib/ipckit/*.h; do
	header=${path#"$srcdir"/lib/}
	# The compilers are words: "gcc -m32".
	# shellcheck disable=SC2086
	compiles "$header" C11 $CC -std=c11
	# shellcheck disable=SC2086
	compiles "$header" C++17 $CXX -std=c++17 -x c++
done

# The list of what is installed is the list of what there is.
for path in "$srcdir"/lib/ipckit/*.h; do
	name=${path##*/}
	grep -q "lib/ipckit/$name" "$srcdir/Makefile.am" || fail "Makefile.am does not install <ipckit/$name>"
	grep -q "#include <ipckit/$name>" "$srcdir/lib/ipckit.h" || fail "<ipckit.h> does not include <ipckit/$name>"
done
finish
