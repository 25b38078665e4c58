#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-pool: map, unordered and order-check, on processes and threads, with
# killed workers and parents, wrong usage and lost output.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-pool

# The squares of 0..99, one a line.
squares()
{
	i=0
	while [ $i -lt 100 ]; do
		echo $((i * i))
		i=$((i + 1))
	done
}

squares >"$scratch/squares"
list="Pool    : [$(sed -n 'H;${x;s/\n//;s/\n/, /g;p;}' "$scratch/squares")]"

# ---- map

for option in '' --threads '-j 1' '--jobs 16' '-j3 --threads'; do
	# shellcheck disable=SC2086 # words
	run 0 map $option
	silent
	echo "$list" | same
done
run 0
echo "$list" | same
run 0 -j 2
echo "$list" | same

# ---- unordered

for option in '' --threads '-j 7' '-j 7 --threads'; do
	# shellcheck disable=SC2086 # words
	run 0 unordered $option
	silent
	sort -n "$scratch/out" | compare "$scratch/squares"
done
run 0 unordered -j 1
compare "$scratch/out" <"$scratch/squares"

# ---- order-check

for option in '' --threads '--pause-ms 0' '--pause-ms 2 -j 4'; do
	# shellcheck disable=SC2086 # words
	run 0 order-check $option
	silent
	sed 's/\(true\|false\)$/WHETHER/' "$scratch/out" >"$scratch/normal"
	echo 'all four orders are equal: WHETHER' | compare "$scratch/normal"
done
# One worker has no choice.
for option in '' --threads; do
	# shellcheck disable=SC2086 # words
	run 0 order-check -j 1 $option
	echo 'all four orders are equal: true' | same
done

# ---- Death

# The pids of the workers: the grandchildren.
workers()
{
	for pid in $(marked); do
		parent=$(cut -d ' ' -f 4 "/proc/$pid/stat" 2>/dev/null)
		[ "$pid" = "$child" ] || [ "${parent:-$child}" = "$child" ] || echo "$pid"
	done
}

# all_there N: so many run.
all_there()
{
	[ "$(workers | wc -l)" -eq "$1" ]
}

# A parent that is killed takes its pool along.
for signal in KILL TERM INT; do
	start order-check --pause-ms 3600000
	await all_there 10
	kill -$signal "$child"
	wait "$child" 2>/dev/null
	await all_gone
	! printed . || fail "printed something"
done

# A worker that is killed with an item in its hands: the item is told.  One that
# had not begun is replaced, so the next is killed.
ended_by_a_kill()
{
	victim=$(workers | sed -n 1p)
	[ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
	! kill -0 "$child" 2>/dev/null
}

start order-check --pause-ms 3600000
await all_there 10
await ended_by_a_kill
exit_status 1
told 'item [0-9]: its worker was killed: Killed$'
await all_gone

help_and_version map unordered order-check exec
timed processes map
timed threads map --threads
timed processes unordered
timed threads order-check --threads
for mode in map unordered order-check; do
	for value in 0 4097; do
		usage "--jobs: '$value' is not a number from 1 to 4096" $mode -j $value
	done
	usage "option requires an argument -- 'j'" $mode -j
	usage "the mode '$mode' has no option --seed" $mode --seed 1
	lost $mode
	lost $mode --threads
	broken_pipe $mode
	few_files 4 'cannot make a pool' $mode
done
wrong_numbers --jobs 4096 map
wrong_numbers --pause-ms 3600000 order-check
for mode in map unordered; do
	usage "the mode '$mode' has no option --pause-ms" $mode --pause-ms 1
done

finish
