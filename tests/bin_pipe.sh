#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-pipe: what each mode prints, each event loop, killed processes, wrong usage.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-pipe

# ---- squares

for mode in '' squares 'squares --pause-ms 1'; do
	# shellcheck disable=SC2086 # no argument at all for the default mode
	run 0 $mode
	silent
	same <<\END
0
1
4
9
16
25
36
49
64
81
End
END
done

# The first has sent one number and sleeps, the second waits for more.
start squares --pause-ms 3600000
await printed '^0$'
await are_there 2
kill_children
exit_status 1
told 'Process-1 was killed: Killed'
told 'Process-2 was killed: Killed'
printf '0\nEnd\n' | compare "$scratch/out"
await all_gone

# ---- relay

loops=epoll
"$binary" relay --loop=uv >"$scratch/out" 2>"$scratch/err" && loops="epoll uv"

check_relay()
{
	silent
	for i in 0 1 2 3 4 5 6 7 8 9; do
		echo "hi in $i"
	done | compare "$scratch/out"
}

run 0 relay
check_relay
for loop in $loops; do
	run 0 relay --loop=$loop
	check_relay
	run 0 relay --loop $loop --pause-ms 1
	check_relay

	# The loop is told that its child was killed.
	start relay --loop=$loop --pause-ms 3600000
	await are_there 1
	kill_children
	exit_status 1
	told 'Process-1 was killed: Killed'
	[ ! -s "$scratch/out" ] || fail "an answer of a killed child"
	await all_gone
done

# ---- bench

numbers='[0-9][0-9.]* us  *[0-9.]* [kMGT]\?/s  *[0-9.]* [kMGT]\?/s  *[0-9.]* [kMGT]\?B/s$'

run 0 bench --seconds 0
silent
[ "$(wc -l <"$scratch/out")" -ge 7 ] || fail "no row for each size"
for size in 8 64 512 4096 65536 1048576; do
	printed "^ *$size  *$numbers" 1 || fail "no figures for $size bytes"
done
run 0 bench --seconds 1 --size 1000
silent
printed "^ *1000  *$numbers" 1 || fail "no figures"
for size in 0 1 32735 32736 32737 70000 3000000; do
	run 0 bench --seconds 0 --size $size
	silent
	printed "^ *$size  *$numbers" 1 || fail "no figures"
done

start bench --seconds 3600 --size 64
await are_there 1
kill_children
exit_status 1
told 'pipe: The other side is closed or dead'
told 'Process-1 was killed: Killed'
await all_gone

# Whoever is left ends by itself.
start bench --seconds 3600
await are_there 1
kill -9 "$child"
wait "$child" 2>/dev/null
await all_gone

# ---- options

help_and_version squares relay bench
timed processes squares
timed processes relay
wrong_numbers --pause-ms 3600000 squares
wrong_numbers --pause-ms 3600000 relay
wrong_numbers --size 1073741824 bench
wrong_numbers --seconds 3600 bench
for loop in '' ' ' uvv UV epoll,uv 0; do
	usage "--loop: '$loop' is none of: epoll" relay "--loop=$loop"
done
usage "option '--loop' requires an argument" relay --loop
usage "the mode 'squares' has no option --loop" --loop=epoll
usage "the mode 'bench' has no option --pause-ms" bench --pause-ms 1
for mode in squares relay; do
	usage "the mode '$mode' has no option --threads" $mode --threads
	usage "the mode '$mode' has no option --seed" $mode --seed 1
	usage "the mode '$mode' has no option --size" $mode --size 1
	usage "the mode '$mode' has no option --seconds" $mode --seconds 1
done

# ---- lost output, no descriptors

lost squares
lost bench --seconds 0 --size 1
broken_pipe squares
for loop in $loops; do
	lost relay --loop=$loop
	broken_pipe relay --loop=$loop
done
for mode in squares relay; do
	few_files 4 'cannot make a pipe' $mode
	few_files 10 'cannot make a pipe' $mode
	few_files 13 'cannot start a process' $mode
done
few_files 4 'cannot make a pipe' bench
few_files 8 'cannot start a process' bench

finish
