#!/bin/sh
# SPDX-License-Identifier: MIT
# The programs when there is no shared memory left: they say so, and leave nothing.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-pool

library=$(pwd)/.libs/no_memory.so
[ -f "$library" ] || library=$(pwd)/tests/.libs/no_memory.so
[ -f "$library" ] || {
	echo "FAIL: there is no $library"
	exit 1
}

# full AFTER STATUS ARG...
full()
{
	after=$1 status=$2
	shift 2
	what="$name $* with room for $after reservations"
	NO_MEMORY_AFTER=$after LD_PRELOAD=$library "$binary" "$@" </dev/null >"$scratch/out" 2>"$scratch/err"
	got=$?
	[ $got -eq "$status" ] || fail "status $got, not $status"
	[ ! -s "$scratch/out" ] || fail "it prints: $(head -c 200 "$scratch/out")"
	grep -q "^$name: " "$scratch/err" || fail "it does not say what is wrong"
	[ "$(wc -l <"$scratch/err")" -le 3 ] || fail "it says too much"
}

full 0 1 map
full 0 1 map --threads
full 0 1 unordered
full 0 1 order-check
full 0 125 exec -- true
full 1 1 map

tool ipc-pipe
full 0 1 squares
full 1 1 squares
full 1 1 relay

tool ipc-sync
for mode in rlock semaphore hand-over condition abc haggle ticks with-all ordered stop-flag; do
	full 0 1 $mode
done

tool ipc-counter
for mode in race coarse account; do
	full 0 1 $mode
done

tool ipc-barrier
for mode in start-line feast; do
	full 0 1 $mode
done

tool ipc-queue
for mode in items sentinel write-read pipeline joinable; do
	full 0 1 $mode
done
full 1 1 pipeline
full 0 1 send bin_full_$$

tool ipc-dict
full 0 1 shared

finish
