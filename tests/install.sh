#!/bin/sh
# SPDX-License-Identifier: MIT
# make install gives a library that pkg-config finds and README.md's program
# runs on, one in C++ too, and programs and pages; make uninstall leaves nothing.
. "${srcdir:-.}/tests/policy.sh"

: "${CC:=cc}" "${CXX:=g++}" "${MAKE:=make}"
need pkg-config
need "${CXX%% *}" g++
make_scratch

# The make that runs this test is no business of the one below.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
root=$scratch/root
quiet_make()
{
	$MAKE "$@" DESTDIR="$root" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "make $1"; finish; }
}
quiet_make install

# The directories that configure was told, as make knows them.
printf 'include Makefile\nprint-%%:\n\t@echo $($*)\n' >"$scratch/print.mk"
value()
{
	$MAKE -s -f "$scratch/print.mk" "print-$1" 2>/dev/null
}
libdir=$root$(value libdir)
PKG_CONFIG_LIBDIR=$root$(value pkgconfigdir)
PKG_CONFIG_SYSROOT_DIR=$root
# A prefix of /usr is searched anyway, but not under $root.
PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_ALLOW_SYSTEM_CFLAGS PKG_CONFIG_ALLOW_SYSTEM_LIBS
unset PKG_CONFIG_PATH

for header in "$srcdir"/lib/ipckit.h "$srcdir"/lib/ipckit/*.h; do
	installed=$root$(value includedir)/${header#"$srcdir"/lib/}
	[ -f "$installed" ] || fail "<${header#"$srcdir"/lib/}> was not installed"
done
for page in "$srcdir"/man/*.[137]; do
	installed=$root$(value mandir)/man${page##*.}/${page##*/}
	[ -f "$installed" ] || fail "${page##*/} was not installed"
done
for program in "$srcdir"/bin/ipc-*.c; do
	[ -f "$program" ] || continue
	installed=$root$(value bindir)/$(basename "$program" .c)
	[ -x "$installed" ] || { fail "${program##*/}: its program was not installed"; continue; }
	"$installed" --help >/dev/null </dev/null || fail "the installed ${installed##*/} does not run"
done

# block LANGUAGE: README.md's first block in it, `text` only right after `c`.
block()
{
	awk -v language="$1" '
	/^```/ && inside { exit }
	inside { print }
	/^```c$/ { seen_c = 1 }
	$0 == "```" language && (language == "c" || seen_c) { inside = 1 }' "$srcdir/README.md"
}

block c >"$scratch/readme.c"
block text >"$scratch/expected"
[ -s "$scratch/readme.c" ] || fail "README.md shows no C program"
[ -s "$scratch/expected" ] || fail "README.md does not show what its program prints"
for form in shared static; do
	flags=$(pkg-config --cflags --libs ipckit) || fail "pkg-config does not find ipckit"
	case $form in
	static) flags="$(pkg-config --cflags ipckit) $libdir/libipckit.a -pthread" ;;
	esac
	# shellcheck disable=SC2086
	if ! $CC -Wall -Wextra -Werror "$scratch/readme.c" $flags -o "$scratch/readme-$form" 2>"$scratch/log"; then
		fail "README.md's program does not compile with the $form library: $(cat "$scratch/log")"
		continue
	fi
	LD_LIBRARY_PATH=$libdir "$scratch/readme-$form" >"$scratch/output" </dev/null ||
		fail "README.md's program fails with the $form library"
	diff "$scratch/expected" "$scratch/output" || fail "README.md's program prints something else with the $form library"
done
# shellcheck disable=SC2046
if $CXX -std=c++17 -Wall -Wextra -Werror -pedantic "$srcdir/tests/scope.cpp" $(pkg-config --cflags --libs ipckit) \
	-o "$scratch/scope" 2>"$scratch/log"; then
	LD_LIBRARY_PATH=$libdir "$scratch/scope" >/dev/null </dev/null || fail "tests/scope.cpp fails"
else
	fail "tests/scope.cpp does not compile: $(cat "$scratch/log")"
fi
[ "$(pkg-config --modversion ipckit)" = "$(value PACKAGE_VERSION)" ] || fail "pkg-config tells another version"

quiet_make uninstall
left=$(find "$root" ! -type d)
[ -z "$left" ] || fail "make uninstall leaves $left"
finish
