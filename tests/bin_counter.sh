#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-counter: the results with a lock and without, killed parties, wrong usage, lost output.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-counter

# ---- race

# check_race STEPS: whatever is lost without a lock, it is no more than was done.
check_race()
{
	silent
	sed 's/a lock: -\{0,1\}[0-9][0-9]*$/a lock: N/' "$scratch/out" >"$scratch/normal"
	compare "$scratch/normal" <<\END
result under the lock: 0
result without a lock: N
END
	lost=$(sed -n 's/.* a lock: -\{0,1\}//p' "$scratch/out")
	[ "$lost" -le "$1" ] || fail "$lost is more than $1"
}
for threads in '' --threads; do
	for steps in 0 1 1000 50000; do
		# shellcheck disable=SC2086 # no argument at all for processes
		run 0 race --steps $steps $threads
		check_race $steps
	done
done
run 0
check_race 1000000

# ---- coarse

for threads in '' --threads; do
	for steps in 0 1 20000; do
		# shellcheck disable=SC2086 # as above
		run 0 coarse --steps $steps $threads
		silent
		sed 's/[0-9][0-9]*\.[0-9]\{6\} s$/TIME/' "$scratch/out" >"$scratch/normal"
		compare "$scratch/normal" <<\END
lock taken at each step: TIME
lock taken around the loop: TIME
END
	done
done

# ---- account

# Without a lock both draw, in either order; under it the second is refused.
check_account()
{
	silent
	sed "s/^$1-[1-4] /$1 /" "$scratch/out" | sed '1,2{s/200$/ONE/;s/-600$/OTHER/;}' >"$scratch/normal"
	sed 1,2d "$scratch/normal" >"$scratch/rest"
	sed 2q "$scratch/normal" | sort >"$scratch/first"
	cat "$scratch/first" "$scratch/rest" >"$scratch/normal"
	compare "$scratch/normal" <<END
$1 draws 800, balance: ONE
$1 draws 800, balance: OTHER
balance without a lock: -600
$1 draws 800, balance: 200
$1 is refused 800, balance: 200
balance under the lock: 200
END
}
for pause in 0 1 20; do
	run 0 account --pause-ms $pause
	check_account Process
	run 0 account --pause-ms $pause --threads
	check_account Thread
done

# ---- killed parties

# one_killed MODE...: either of two is killed, the other ends, and only that one is told.
one_killed()
{
	for i in 1 2; do
		start "$@"
		await are_there 2
		kill -9 "$(children | sort -n | sed -n ${i}p)"
		exit_status 1
		told 'Process-[12] was killed: Killed'
		[ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "more than one message: $(cat "$scratch/err")"
		[ ! -s "$scratch/out" ] || fail "a result of what was not done"
		await all_gone
	done
	start "$@"
	await are_there 2
	kill -9 "$child"
	wait "$child" 2>/dev/null
	await all_gone
}
one_killed race --steps 1000000000
one_killed coarse --steps 1000000000
one_killed account --pause-ms 3600000

# ---- options

help_and_version race coarse account
wrong_numbers --steps 1000000000 race
wrong_numbers --pause-ms 3600000 account
for mode in race coarse; do
	usage "the mode '$mode' has no option --pause-ms" $mode --pause-ms 1
done
usage "the mode 'account' has no option --steps" account --steps 1
usage "the mode 'race' has no option --seed" --seed 1

# ---- time, lost output, no descriptors

for threads in '' --threads; do
	by=$([ "$threads" ] && echo threads || echo processes)
	# shellcheck disable=SC2086 # as above
	for mode in 'race --steps 10' 'coarse --steps 10' 'account --pause-ms 0'; do
		timed "$by" $mode $threads
		lost $mode $threads
		broken_pipe $mode $threads
	done
done
for mode in race coarse account; do
	few_files 4 'cannot start a process' $mode
done

finish
