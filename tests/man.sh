#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual: each public call and each program has a page, each page is clean
# and complete, and the programs in EXAMPLES compile against the built library.
. "${srcdir:-.}/tests/policy.sh"

: "${CC:=cc}" "${LIBRARY:=.libs/libipckit.so}"
need mandoc
make_scratch

pages=$(sources man)
[ -n "$pages" ] || fail "there is no manual"

# The calls that the section 3 pages describe, by their synopsis.
for page in $pages; do
	case $page in
	*.3) sed -n 's/^\.F[no] \(ipck_[a-z0-9_]*\).*/\1/p' "$srcdir/$page" ;;
	esac
done | sort -u >"$scratch/described"
public_calls >"$scratch/declared"
for call in $(comm -13 "$scratch/described" "$scratch/declared"); do
	fail "$call has no .Fn or .Fo entry in a page man/*.3"
done
for call in $(comm -23 "$scratch/described" "$scratch/declared"); do
	cat "$srcdir"/lib/ipckit/*.h | grep -q "^static inline .*[ *]$call(" ||
		fail "$call is described, but no public header declares it"
done

for program in "$srcdir"/bin/ipc-*.c; do
	[ -f "$program" ] || continue
	name=$(basename "$program" .c)
	[ -f "$srcdir/man/$name.1" ] || fail "$name has no page man/$name.1"
done

# sections PAGE SECTION...
sections()
{
	page=$1
	shift
	for section in "$@"; do
		grep -q "^\\.Sh $section\$" "$srcdir/$page" || fail "$page has no section $section"
	done
}

for page in $pages; do
	mandoc -T lint -W warning "$srcdir/$page" >"$scratch/lint" 2>&1 || fail "$page: $(cat "$scratch/lint")"
	grep -Eq "(^|[[:space:]])$page([[:space:]]|\$)" "$srcdir/Makefile.am" || fail "$page is not installed by Makefile.am"
	case $page in
	*.3)
		sections "$page" NAME SYNOPSIS DESCRIPTION "RETURN VALUES" ATTRIBUTES EXAMPLES
		! grep -q '^\.It .*Er ' "$srcdir/$page" || sections "$page" ERRORS
		;;
	*.1) sections "$page" NAME SYNOPSIS DESCRIPTION "EXIT STATUS" EXAMPLES ;;
	esac
done

# extract PAGE: writes the displays of EXAMPLES that are whole programs to
# $scratch/example-N.c, without roff's escapes.
extract()
{
	rm -f "$scratch"/example-*.c
	sed -e 's/\\&//g' -e "s/\\\\(aq/'/g" -e 's/\\(dq/"/g' -e 's/\\-/-/g' -e 's/\\e/\\/g' "$srcdir/$1" |
		awk -v prefix="$scratch/example-" '
		/^\.Sh / { examples = $0 == ".Sh EXAMPLES" }
		examples && /^\.Bd / { display = 1; text = ""; next }
		display && /^\.Ed/ {
			display = 0
			if (text ~ /(^|\n)int main\(/) {
				n++
				printf "%s", text >(prefix n ".c")
			}
		}
		display { text = text $0 "\n" }'
}

for page in $pages; do
	case $page in
	*.3) ;;
	*) continue ;;
	esac
	extract "$page"
	programs=0
	for source in "$scratch"/example-*.c; do
		[ -f "$source" ] || continue
		programs=$((programs + 1))
		# shellcheck disable=SC2086
		$CC -std=gnu17 -Wall -Wextra -Wno-missing-field-initializers -Werror -I"$srcdir/lib" "$source" "$LIBRARY" \
			-pthread -o "$scratch/example" 2>"$scratch/log" ||
			fail "$page: ${source##*/} does not build: $(cat "$scratch/log")"
	done
	[ "$programs" -gt 0 ] || fail "$page: no whole program in EXAMPLES"
done
finish
