#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-process: what each mode prints, wrong usage, lost output, killed workers.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-process

# ---- function

# callers KIND NAME: the lines of five callers, in the order of the callers.
callers()
{
	for i in 0 1 2 3 4; do
		echo "func call by $1 $i and name $2-$((i + 1)), TIME"
		echo "func call by $1 $i and sleep S second, TIME"
	done
}

check_callers()
{
	callers "$1" "$2" >"$scratch/callers"
	sed 's/sleep [1-5] second/sleep S second/' "$scratch/out" | normalise | sort -s -k 5,5n >"$scratch/normal"
	compare "$scratch/normal" <"$scratch/callers"
}

run 0 --pause-ms 0
silent
check_callers process Process
run 0 function --pause-ms 1
silent
check_callers process Process
run 0 function --threads --pause-ms 0
silent
check_callers thread Thread

pauses()
{
	sed -n 's/.* \([0-4]\) and sleep \([1-5]\) second.*/\1 \2/p' "$scratch/out" | sort
}

for seed in 1 2 3 4 5 6; do
	run 0 function --pause-ms 0 --seed $seed
	pauses | tee -a "$scratch/pauses" >"$scratch/first"
	run 0 function --pause-ms 0 --seed $seed --threads
	pauses | compare "$scratch/first"
done
what="six seeds"
cut -d ' ' -f 2 "$scratch/pauses" | sort -u >"$scratch/normal"
printf '%s\n' 1 2 3 4 5 | compare "$scratch/normal"

# ---- workers

run 0 workers --pause-ms 0
silent
grep -v '^name -> ' "$scratch/out" | sed 's/^CPU number [1-9][0-9]*$/CPU number N/' | sort >"$scratch/normal"
sort <<\END | compare "$scratch/normal"
1 start
2 start
3 start
1 end
2 end
3 end
CPU number N
end main
END

# Three that sleep for long are all listed; killed, they are told by name.
start workers --pause-ms 3600000
await printed '^end main$'
await printed '^[123] start$' 3
grep '^name' "$scratch/out" >"$scratch/names"
cut -f 1 "$scratch/names" | sort >"$scratch/normal"
printf 'name -> %s\n' Process-1 Process-2 Process-3 | compare "$scratch/normal"
pids=$(sed 's/.*pid -> //' "$scratch/names")
# shellcheck disable=SC2086 # one word for each pid
kill -TERM $pids
exit_status 1
for i in 1 2 3; do
	told "Process-$i was killed: Terminated"
done
! printed ' end$' || fail "a killed worker went on"
await all_gone

# ---- clock

run 0 clock --pause-ms 0
silent
same <<\END
the time is TIME
the time is TIME
the time is TIME
the time is TIME
the time is TIME
END

# ---- self

run 0 self
silent
same <<\END
name -> Process-1
pid -> PID
alive -> true
daemon -> false
END

run 0 self --twice
silent
sort "$scratch/out" | uniq -c | sed 's/^ *//' >"$scratch/counts"
normalise "$scratch/counts" >"$scratch/normal"
compare "$scratch/normal" <<\END
10 name -> Process-1	pid -> PID
10 name -> Process-2	pid -> PID
END
[ "$(sed 's/.*pid -> //' "$scratch/counts" | sort -u | wc -l)" -eq 2 ] || fail "two processes with one pid"

# ---- family

run 0 family
silent
father=$(sed -n '1s/FatherProcess(\([0-9]*\)).*/\1/p' "$scratch/out")
{
	for i in 0 1 2 3 4 5 6 7 8 9; do
		echo "FatherProcess($father) : $i"
	done
	echo 'Task finished'
} >"$scratch/expected"
grep -v '^Sub' "$scratch/out" >"$scratch/normal"
compare "$scratch/normal" <"$scratch/expected"
sed -n 's/^SubProcess(\([0-9]*\)).*/\1/p' "$scratch/out" | sort -u >"$scratch/subs"
[ "$(wc -l <"$scratch/subs")" -eq 2 ] || fail "not two children"
while read -r sub; do
	for i in 0 1 2 3 4 5 6 7 8 9; do
		echo "SubProcess($sub), FatherProcess($father); $i"
	done >"$scratch/expected"
	grep "^SubProcess($sub)" "$scratch/out" >"$scratch/normal"
	compare "$scratch/normal" <"$scratch/expected"
done <"$scratch/subs"
[ "$(sed -n '1,6p' "$scratch/out" | grep -c '^Father')" -eq 6 ] || fail "a child before its start"
[ "$(sed '/ : 6$/,$d' "$scratch/out" | grep -c '; 9$')" -ge 1 ] || fail "the second child was not joined"

# ---- options

help_and_version function workers clock self family
timed processes function --pause-ms 0
timed threads function --pause-ms 0 --threads
timed processes self
wrong_numbers --pause-ms 3600000 function
wrong_numbers --pause-ms 3600000 clock
wrong_numbers --seed 9223372036854775807 function
for mode in workers clock self family; do
	usage "the mode '$mode' has no option --threads" $mode --threads
	usage "the mode '$mode' has no option --seed" $mode --seed 1
done
for mode in self family; do
	usage "the mode '$mode' has no option --pause-ms" $mode --pause-ms 1
done
usage "the mode 'function' has no option --twice" --twice
usage "option '--twice' doesn't allow an argument" self --twice=2

# ---- lost output

lost function --pause-ms 0
lost function --pause-ms 0 --threads
lost workers --pause-ms 0
lost clock
lost self
lost self --twice
lost family
broken_pipe function --pause-ms 0
broken_pipe self
broken_pipe family
few_files 4 'cannot start a process' self

finish
