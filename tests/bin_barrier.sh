#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-barrier: who waits and who does not, killed parties, wrong usage, lost output.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-barrier

# ---- start-line

time='[0-9]\{4\}-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]\.[0-9]\{6\}'

check_start_line()
{
	silent
	sed "s/$time/TIME/" "$scratch/out" | sort >"$scratch/normal"
	compare "$scratch/normal" <<\END
process p1 ----> TIME
process p2 ----> TIME
process p3 ----> TIME
process p4 ----> TIME
END
}
run 0
check_start_line
for pause in 0 10; do
	run 0 start-line --pause-ms $pause
	check_start_line
	run 0 start-line --pause-ms $pause --threads
	check_start_line
done

# The first waits for the second, who does not come; the others do not wait.
start start-line --pause-ms 3600000
await printed '^process p[34] ---->' 2
await are_there 2
! printed 'p[12]' || fail "did not wait"
kill -9 "$child"
wait "$child" 2>/dev/null
await all_gone

start start-line --pause-ms 3600000 --threads
await printed '^process p[34] ---->' 2
! printed 'p[12]' || fail "did not wait"
kill -9 "$child"
wait "$child" 2>/dev/null

# ---- feast

# Nobody takes before all is there, and each takes one.
check_feast()
{
	silent
	sed 5q "$scratch/out" >"$scratch/normal"
	for i in 0 1 2 3 4; do
		echo "producer: item $i is ready"
	done | compare "$scratch/normal"
	sed 1,5d "$scratch/out" >"$scratch/taken"
	sed 's/^.* takes //' "$scratch/taken" | sort >"$scratch/normal"
	printf '%s\n' 'item 0' 'item 1' 'item 2' 'item 3' 'item 4' | compare "$scratch/normal"
	sed 's/ takes .*//' "$scratch/taken" | sort >"$scratch/normal"
	printf "$1-%d\n" 2 3 4 5 6 | compare "$scratch/normal"
}
for pause in 0 2; do
	run 0 feast --pause-ms $pause
	check_feast Process
	run 0 feast --threads --pause-ms $pause
	check_feast Thread
done

# ---- killed parties

# one_killed LEFT MODE...: any of those left is killed, the others end, and only that one is told.
one_killed()
{
	left_over=$1
	shift
	i=1
	while [ $i -le "$left_over" ]; do
		start "$@"
		[ "$1" = feast ] || await printed '^process p[34] ---->' 2
		await are_there "$left_over"
		kill -9 "$(children | sort -n | sed -n ${i}p)"
		exit_status 1
		told 'Process-[1-6] was killed: Killed'
		[ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "more than one message: $(cat "$scratch/err")"
		! printed 'p[12]\|takes' || fail "somebody went on"
		await all_gone
		i=$((i + 1))
	done
}
one_killed 2 start-line --pause-ms 3600000
one_killed 6 feast --pause-ms 3600000

start feast --pause-ms 3600000
await are_there 6
kill -9 "$child"
wait "$child" 2>/dev/null
await all_gone

# ---- options

help_and_version start-line feast
wrong_numbers --pause-ms 3600000 feast
for mode in start-line feast; do
	usage "the mode '$mode' has no option --seed" $mode --seed 1
	usage "unrecognized option '--steps'" $mode --steps 1
	for threads in '' --threads; do
		# shellcheck disable=SC2086 # no argument at all for processes
		{
			timed "$([ "$threads" ] && echo threads || echo processes)" $mode --pause-ms 0 $threads
			lost $mode --pause-ms 0 $threads
			broken_pipe $mode --pause-ms 0 $threads
		}
	done
	few_files 4 'cannot start a process' $mode
	few_files 6 'cannot start a process' $mode
done

finish
