#!/bin/sh
# SPDX-License-Identifier: MIT
# The folder is the layer: base < mem < sync < coll < proc < pool < bin.
#
# - A file of lib/ includes headers of its own and of earlier folders only, and
#   public headers of its own and of earlier layers.
# - Inside a folder no module (NAME.c and NAME.h) includes itself in a circle.
# - A public header includes public and system headers only.
# - bin/ includes <ipckit.h>, system headers and its own headers.
# - A .c file includes its own header first.
. "${srcdir:-.}/tests/policy.sh"
make_scratch

layer_of_folder()
{
	case $1 in
	base) echo 1 ;;
	mem) echo 2 ;;
	sync) echo 3 ;;
	coll) echo 4 ;;
	proc) echo 5 ;;
	pool) echo 6 ;;
	*) echo 0 ;;
	esac
}

layer_of_public()
{
	case $1 in
	defs.h | deadline.h) echo 1 ;;
	shm.h | heap.h) echo 2 ;;
	lock.h | rlock.h | semaphore.h | condition.h | event.h | barrier.h) echo 3 ;;
	counter.h | queue.h | pipe.h | dict.h | array.h) echo 4 ;;
	process.h | wait.h) echo 5 ;;
	pool.h | future.h | executor.h | mapreduce.h) echo 6 ;;
	*) echo 0 ;;
	esac
}

# "quote NAME" or "angle NAME" for each #include.
includes()
{
	sed -n -e 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/quote \1/p' \
		-e 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*<\([^>]*\)>.*/angle \1/p' "$srcdir/$1"
}

# check_public FILE LAYER HEADER: a public header is not above the layer.
check_public()
{
	header=${3#ipckit/}
	above=$(layer_of_public "$header")
	if [ "$above" -eq 0 ]; then
		fail "$1: <ipckit/$header> has no layer; give it one in tests/layers.sh"
	elif [ "$above" -gt "$2" ]; then
		fail "$1: <ipckit/$header> is of a later layer"
	fi
}

check_public_header()
{
	includes "$1" | while read -r form name; do
		case $form:$name in
		angle:ipckit/*) check_public "$1" "$(layer_of_public "${1##*/}")" "$name" ;;
		quote:*) fail "$1: a public header includes the internal \"$name\"" ;;
		esac
	done
}

check_internal()
{
	folder=${1#lib/}
	folder=${folder%%/*}
	layer=$(layer_of_folder "$folder")
	[ "$layer" -gt 0 ] || fail "$1: lib/$folder is not a layer"
	module=${1%.[ch]}
	module=${module#lib/}
	includes "$1" | while read -r form name; do
		case $form:$name in
		*:ipckit.h) fail "$1: includes <ipckit.h>, which is for users; include the headers it needs" ;;
		*:ipckit/*) check_public "$1" "$layer" "$name" ;;
		quote:*/*)
			[ -f "$srcdir/lib/$name" ] || fail "$1: no such header: lib/$name"
			below=$(layer_of_folder "${name%%/*}")
			[ "$below" -gt 0 ] || fail "$1: \"$name\" is in no layer"
			[ "$below" -le "$layer" ] || fail "$1: \"$name\" is of a later layer"
			[ "$below" -ne "$layer" ] || [ "${name%.h}" = "$module" ] ||
				echo "$module ${name%.h}" >>"$scratch/edges"
			;;
		quote:*) fail "$1: \"$name\" is written without its folder" ;;
		esac
	done
}

check_program()
{
	includes "$1" | while read -r form name; do
		name=${name#bin/}
		case $form:$name in
		angle:ipckit.h) ;;
		*:ipckit/* | quote:ipckit.h) fail "$1: programs include <ipckit.h>, not \"$name\"" ;;
		quote:*) [ -f "$srcdir/bin/$name" ] || fail "$1: \"$name\" is not a header of bin/" ;;
		angle:*) [ ! -f "$srcdir/lib/$name" ] || fail "$1: <$name> is internal to the library" ;;
		esac
	done
}

# check_first FILE HEADER FORM: the first include is that header, if it exists.
check_first()
{
	first=$(includes "$1" | sed -n 1p)
	[ "$first" = "$2" ] || fail "$1: its own header is not included first, but ${first:-nothing}"
}

check_own_first()
{
	header=${1%.c}.h
	name=${header##*/}
	if [ -f "$srcdir/$header" ]; then
		case $1 in
		lib/*) check_first "$1" "quote ${header#lib/}" ;;
		bin/*) check_first "$1" "quote $name" ;;
		esac
	elif [ -f "$srcdir/lib/ipckit/$name" ]; then
		check_first "$1" "angle ipckit/$name"
	fi
}

# The loops above run in pipelines, so the failures are counted by their lines.
: >"$scratch/edges"
{
	for file in $(c_sources lib bin); do
		case $file in
		lib/ipckit.h) ;;
		lib/ipckit/*) check_public_header "$file" ;;
		lib/*/*) check_internal "$file" ;;
		lib/*) fail "$file: not in a folder of lib/" ;;
		bin/*) check_program "$file" ;;
		esac
		case $file in
		*.c) check_own_first "$file" ;;
		esac
	done
} >"$scratch/report"
if ! tsort "$scratch/edges" >"$scratch/order" 2>"$scratch/cycle"; then
	fail "modules include each other in a circle: $(sed -n 's/^tsort: \(lib\/\)*//p' "$scratch/cycle" | tr '\n' ' ')"
fi >>"$scratch/report"
cat "$scratch/report"
failures=$(grep -c '^FAIL' "$scratch/report")
finish
