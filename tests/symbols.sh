#!/bin/sh
# SPDX-License-Identifier: MIT
# The libraries export the calls that the public headers declare and the
# symbol map lists: no more, no less.
. "${srcdir:-.}/tests/policy.sh"

: "${NM:=nm}" "${LIBRARY:=.libs/libipckit.so}"
make_scratch

public_calls >"$scratch/headers"
sed -n 's/^[[:space:]]*\(ipck_[a-z0-9_]*\);.*/\1/p' "$srcdir/lib/ipckit.map" >"$scratch/map"
sort "$scratch/map" >"$scratch/map.sorted"
[ -s "$scratch/headers" ] || fail "no call found in the public headers"
[ -f "$LIBRARY" ] || fail "$LIBRARY was not built"
$NM -D --defined-only "$LIBRARY" >"$scratch/nm" || fail "$NM cannot read $LIBRARY"
awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' "$scratch/nm" | sort >"$scratch/library"

# differ A B WHAT: reports the names of A that B lacks.
differ()
{
	comm -23 "$scratch/$1" "$scratch/$2" >"$scratch/missing"
	while IFS= read -r name; do
		fail "$name: $3"
	done <"$scratch/missing"
}
differ headers map.sorted "declared in a public header, not in lib/ipckit.map"
differ map.sorted headers "in lib/ipckit.map, declared in no public header"
differ headers library "declared in a public header, not exported"
differ library headers "exported, declared in no public header"

# A program that is linked with the static library meets the same names.
archive=${LIBRARY%.so}.a
if [ -f "$archive" ]; then
	$NM -g --defined-only "$archive" >"$scratch/nm" || fail "$NM cannot read $archive"
	awk 'NF == 3 { print $3 }' "$scratch/nm" | sort >"$scratch/archive"
	differ headers archive "declared in a public header, not in the static library"
	differ archive headers "in the static library for all to see, declared in no public header"
fi

sort -c "$scratch/map" 2>/dev/null || fail "lib/ipckit.map is not in alphabetical order"
uniq -d "$scratch/headers" >"$scratch/twice"
[ ! -s "$scratch/twice" ] || fail "declared twice: $(cat "$scratch/twice")"
finish
