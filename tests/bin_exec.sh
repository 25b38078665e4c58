#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-pool exec: what it runs, what it prints, what it tells, and what it leaves.

. "${srcdir:-.}/tests/bin.sh"
tool ipc-pool

TMPDIR=$scratch/tmp
export TMPDIR
mkdir "$TMPDIR" "$scratch/work"

# Commands wait for one another by files in $work, never by time.
work=$scratch/work
export work
fresh()
{
	rm -rf "$work"
	mkdir "$work"
}

# wait_for FILE, for use in commands: . "$wait_for" NAME waits until $work/NAME is there.
wait_for=$scratch/wait_for
export wait_for
cat >"$wait_for" <<\END
tries=0
until [ -e "$work/$wanted" ]; do
	tries=$((tries + 1))
	[ "$tries" -lt 3000 ] || exit 99
	sleep 0.02
done
END

in=$scratch/in

# input TEXT: the input of the next runs, as printf makes it.
input()
{
	# shellcheck disable=SC2059 # the text is a format
	printf "$1" >"$in"
}

# output TEXT and errors TEXT: exactly this was written, as printf makes it.
output()
{
	# shellcheck disable=SC2059
	printf "$1" | compare "$scratch/out"
}
errors()
{
	# shellcheck disable=SC2059
	printf "$1" | compare "$scratch/err"
}
# As start, with file descriptor 3 as its standard input.
background()
{
	what="$name $*"
	echo "$what &"
	env --default-signal "$mark=1" "$binary" "$@" <&3 3<&- >"$scratch/out" 2>"$scratch/err" &
	child=$!
}

no_files()
{
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left these files: $(ls -A "$TMPDIR")"
}

# ---- What is run ----

input 'one\ntwo words\n\n  three  \nlast'
run 0 exec echo <"$in"
output 'one\ntwo words\n  three  \nlast\n'
silent

run 0 exec -- echo -n <"$in"
output 'onetwo words  three  last'

run 0 exec -j 1 printf '<%s>' a '{}' b '{}{}' '-{}-' <"$in"
output '<a><one><b><oneone><-one-><a><two words><b><two wordstwo words><-two words-><a><  three  ><b><  three    three  ><-  three  -><a><last><b><lastlast><-last->'

input '1\n2\n3\n4\n5\n'
run 0 exec -n 2 echo x <"$in"
output 'x 1 2\nx 3 4\nx 5\n'
run 0 exec --max-args=3 echo '{}' + 'a{}b{}' <"$in"
output '1 2 3 + a1b1 a2b2 a3b3\n4 5 + a4b4 a5b5\n'

input 'echo\nprintf\n'
run 0 exec '{}' word <"$in"
output 'word\nword'

input 'a b\nc\0\0-n\0last'
run 0 exec -0 printf '[%s]' <"$in"
output '[a b\nc][][-n][last]'
run 0 exec --null -n 9 printf '[%s]' <"$in"
output '[a b\nc][][-n][last]'

input ''
run 0 exec echo never <"$in"
output ''
silent
input '\n\n\n'
run 0 exec echo never <"$in"
output ''

# Files, one behind the other; a last line without its end is a line.
printf '1\n2' >"$scratch/a"
printf '3\n4' >"$scratch/b"
input 'in\n'
run 0 exec -a "$scratch/a" --arg-file="$scratch/b" -a - echo <"$in"
output '1\n2\n3\n4\nin\n'
run 0 exec -n 3 -a "$scratch/a" -a "$scratch/b" echo <"$in"
output '1 2 3\n4\n'

# As many items as fit on a command line, when -n allows more: fewer runs than items, none of them lost.
seq 100000 >"$in"
run 0 exec -n 50000 echo <"$in"
tr ' ' '\n' <"$scratch/out" | cmp - "$in" || fail 'items are lost between command lines'
[ "$(wc -l <"$scratch/out")" -lt 200 ] || fail 'there were more runs than needed'

run 0 exec -n 500 -- sh -c 'echo "$@"' sh <"$in"
tr ' ' '\n' <"$scratch/out" | cmp - "$in" || fail 'a hundred thousand lines do not come back'
[ "$(wc -l <"$scratch/out")" -eq 200 ] || fail 'not 500 items in each run'

# Too long to be an argument: that item fails, with its name, and the others run.
{
	echo before
	head -c 9000000 /dev/zero | tr '\0' x
	printf '\nafter\n'
} >"$in"
run 1 exec echo <"$in"
output 'before\nafter\n'
told 'item "xxx*\.\.\.": cannot be started: '
told '1 of 3 failed$'

# What the command inherits: nothing on standard input, signals as they were for us.
input 'x\n'
run 0 exec -- sh -c 'readlink /proc/self/fd/0; grep ^SigIgn /proc/self/status; ulimit -n; pwd' <"$in"
{
	echo /dev/null
	sh -c 'grep ^SigIgn /proc/self/status; ulimit -n; pwd'
} | compare "$scratch/out"

# ---- What is printed ----

# The first run ends after the second.
input '1\n2\n'
first_waits='[ "$1" = 2 ] || { wanted=2; . "$wait_for"; }; echo "$1"; : >"$work/$1"'
run 0 exec -j 2 -- sh -c "$first_waits" sh <"$in"
output '1\n2\n'
fresh
run 0 exec -j 2 --unordered -- sh -c "$first_waits" sh <"$in"
output '2\n1\n'
fresh

seq 1000 >"$in"
run 0 exec -j 8 echo <"$in"
compare "$scratch/out" <"$in"
run 0 exec -j 8 --unordered echo <"$in"
sort -n "$scratch/out" | cmp - "$in" || fail 'the outputs are not those of the input'

# Each output is whole, standard error behind standard output, of any size and of any bytes.
input '1\n2\n3\n4\n'
large='for i in 1 2 3 4 5; do head -c 1048576 /dev/zero | tr "\0" "$1"; head -c 1048576 /dev/zero | tr "\0" "$1" >&2; done'
for order in --no-progress --unordered; do
	run 0 exec -j 4 "$order" -- sh -c "$large" sh <"$in"
	for file in out err; do
		tr -s 1234 <"$scratch/$file" | grep -q '^[1-4]\{4\}$' || fail "outputs on std$file are mixed"
		[ "$(wc -c <"$scratch/$file")" -eq 20971520 ] || fail "std$file is not whole"
		for i in 1 2 3 4; do
			[ "$(tr -dc $i <"$scratch/$file" | wc -c)" -eq 5242880 ] || fail "std$file has not all of $i"
		done
	done
done
no_files

# With few file descriptors there is less under way, and nothing is lost.
seq 200 >"$in"
what='ulimit -n 120'
(
	ulimit -n 120
	"$binary" exec -j 60 -- sh -c '
		[ "$1" != 1 ] || { wanted=20; . "$wait_for"; }
		: >"$work/$1"
		head -c 40000 /dev/zero | tr "\0" x
		echo "$1"' sh <"$in" >"$scratch/out" 2>"$scratch/err"
) || fail "exit status $?"
tr -d x <"$scratch/out" | cmp - "$in" || fail 'outputs are lost or mixed'
[ "$(tr -dc x <"$scratch/out" | wc -c)" -eq 8000000 ] || fail 'outputs are not whole'
silent
no_files
fresh

input '1\n2\n3\n4\n'
run 0 exec -j 2 -- sh -c 'cat "$0"' "$binary" <"$in"
cat "$binary" "$binary" "$binary" "$binary" | cmp - "$scratch/out" || fail 'binary output is changed'
run 0 exec -- printf '\0\1\377{}' <"$in"
printf '\0\1\3771\0\1\3772\0\1\3773\0\1\3774' | cmp - "$scratch/out" || fail 'small binary output is changed'

what='both outputs in one file'
"$binary" exec -j 1 -- sh -c 'echo "e$1" >&2; echo "o$1"; echo "f$1" >&2' sh <"$in" >"$scratch/out" 2>&1
output 'o1\ne1\nf1\no2\ne2\nf2\no3\ne3\nf3\no4\ne4\nf4\n'

# A run that truncates its standard output harms no other run.
run 0 exec -j 1 -- sh -c 'echo lost; echo "$1" >/dev/stdout; echo more' sh <"$in"
output '1\nmore\n2\nmore\n3\nmore\n4\nmore\n'

# What a run leaves behind does not write into the output of the next.
input '1\n2\n'
run 0 exec -j 1 -- sh -c '
	if [ "$1" = 1 ]; then
		{ wanted=go; . "$wait_for"; echo late; echo late >&2; : >"$work/gone"; } &
		echo one
	else
		: >"$work/go"; wanted=gone; . "$wait_for"; echo two
	fi' sh <"$in"
output 'one\ntwo\n'
silent
fresh

# An output is not kept waiting by input that is yet to come.
mkfifo "$scratch/slow"

# slow_input COMMAND...: runs exec in the background with what is written to file descriptor 5.
slow_input()
{
	exec 3<>"$scratch/slow" 4<"$scratch/slow" 5>"$scratch/slow" 3>&-
	background exec -j 2 "$@" 3<&4 4<&- 5>&-
	exec 4<&-
}

slow_input echo got
for line in 1 2 3; do
	echo "$line" >&5
	await printed "^got $line\$"
done
exec 5>&-
exit_status 0
output 'got 1\ngot 2\ngot 3\n'

# ---- What is told ----

seq 200 >"$in"
run 3 exec -j 4 -- sh -c '[ "$1" -gt 3 ] || exit "$1"; echo ok' sh <"$in"
[ "$(grep -c '^ok$' "$scratch/out")" -eq 197 ] || fail 'the others did not run'
errors 'ipc-pool: 3 of 200 failed\n'
run 100 exec -j 4 -- sh -c '[ "$1" -gt 100 ]' sh <"$in"
errors 'ipc-pool: 100 of 200 failed\n'
run 101 exec -j 4 -- sh -c '[ "$1" -gt 101 ]' sh <"$in"
errors 'ipc-pool: 101 of 200 failed\n'

input 'fine\nbad "\\\033[31m\ntoo\n'
run 1 exec -j 1 -- sh -c 'case $1 in bad*) echo partly; kill -9 $$;; esac; echo "$1"' sh <"$in"
output 'fine\npartly\ntoo\n'
errors 'ipc-pool: item "bad \\x22\\x5c\\x1b[31m": killed by signal 9 (Killed)\nipc-pool: 1 of 3 failed\n'
run 1 exec -n 3 -- sh -c 'kill -SEGV $$' <"$in"
told 'item "fine" and 2 more: killed by signal 11 (Segmentation fault)$'

# A killed worker costs its own item only, and takes its command along.
input '1\n2\n3\n4\n5\n'
run 1 exec -j 2 -- sh -c '[ "$1" != 2 ] || { kill -9 $PPID; sleep 60; }; echo "$1"' sh <"$in"
output '1\n3\n4\n5\n'
errors 'ipc-pool: item "2": its worker was killed by signal 9 (Killed)\nipc-pool: 1 of 5 failed\n'
no_files

# Retries: the outputs of runs that failed are dropped.
input '1\n2\n'
run 0 exec --retries 2 -- sh -c 'echo "run $1"; echo x >>"$work/$1"; [ "$(wc -l <"$work/$1")" -eq 3 ]' sh <"$in"
output 'run 1\nrun 2\n'
silent
fresh
run 2 exec --retries=1 -- sh -c 'echo x >>"$work/$1"; [ "$(wc -l <"$work/$1")" -eq 3 ]' sh <"$in"
fresh

# Halt: the run under way is ended, and gets the signal to clean up; none begins any more.
seq 1000 >"$in"
halting='
	[ "$1" -le 2 ] || { echo "$1" >>"$work/more"; exit 0; }
	if [ "$1" = 1 ]; then
		trap "echo cleaned >\"$work/cleaned\"; exit 1" TERM
		: >"$work/up"
		while :; do sleep 0.02; done
	fi
	wanted=up; . "$wait_for"; echo "failed"; exit 7'
for order in --no-progress --unordered; do
	run 1 exec -j 2 --halt "$order" -- sh -c "$halting" sh <"$in"
	output 'failed\n'
	told '1 of 1 failed$'
	[ ! -e "$work/more" ] || fail "went on after the failure: $(cat "$work/more")"
	[ -e "$work/cleaned" ] || fail 'the run under way was killed without a chance to clean up'
	fresh
done
run 0 exec --halt true <"$in"
no_files

# Progress: a last line that is complete, and the whole if it can be known.
seq 20 >"$in"
run 0 exec --progress true <"$in"
told '20 of 20 done, [0-9.]*/s, 0:[0-9][0-9] in all$'
run 2 exec --progress -- test 3 -le <"$in"
told '20 of 20 done, 2 failed, [0-9.]*/s, 0:[0-9][0-9] in all$'
what='progress of a pipe'
cat "$in" | "$binary" exec --progress true 2>"$scratch/err"
told '20 done, [0-9.]*/s, 0:[0-9][0-9] in all$'
what='progress on a terminal'
script -qec "'$binary' exec echo <'$in' >'$scratch/out'" /dev/null </dev/null >"$scratch/err"
compare "$scratch/out" <"$in"
grep -q 'ipc-pool: 20 of 20 done' "$scratch/err" || fail 'no progress on a terminal'
script -qec "'$binary' exec --no-progress echo <'$in' >'$scratch/out'" /dev/null </dev/null >"$scratch/err"
silent

# ---- How it ends ----

# A signal ends all of it; the commands get the signal to clean up.
seq 1000 >"$in"
for signal in INT:130 TERM:143 HUP:129; do
	background exec -j 2 -- sh -c '
		trap "echo cleaned >\"$work/cleaned.$1\"; exit 1" TERM
		: >"$work/up.$1"
		while :; do sleep 0.02; done' sh 3<"$in"
	await [ -e "$work/up.1" -a -e "$work/up.2" ]
	kill "-${signal%:*}" "$child"
	exit_status "${signal#*:}"
	await all_gone
	[ -e "$work/cleaned.1" ] && [ -e "$work/cleaned.2" ] || fail 'killed without a chance to clean up'
	[ ! -e "$work/up.3" ] || fail 'went on after the signal'
	output ''
	silent
	no_files
	fresh
done

# While it waits for input.
slow_input echo got
echo 1 >&5
await printed '^got 1$'
kill -INT "$child"
exit_status 130
exec 5>&-
await all_gone

# Killed itself: all of it goes.
background exec -j 2 -- sh -c ': >"$work/up.$1"; exec sleep 60' sh 3<"$in"
await [ -e "$work/up.1" -a -e "$work/up.2" ]
kill -KILL "$child"
exit_status 137
await all_gone
no_files
fresh

# Output that cannot be written ends all of it, and is told.
run_to /dev/full 125 exec echo <"$in"
told 'standard output: No space left on device$'
run_to - 125 exec echo <"$in"
told 'standard output: '
what='a closed pipe'
{ env "$mark=1" "$binary" exec echo <"$in" 2>"$scratch/err"; echo $? >"$scratch/status"; } | true
[ "$(cat "$scratch/status")" = 125 ] || fail "exit status $(cat "$scratch/status")"
told 'standard output: '
await all_gone
no_files

# ---- What is refused, before anything is run ----

refused()
{
	told ''
	[ "$(sed -n '$p' "$scratch/err")" = "Try 'ipc-pool exec --help'" ] || fail 'no hint to --help'
}

input '1\n'
for bad in '-j 0' '-j 4097' '-j x' '-j -1' '-j 2x' '--jobs=' '-n 0' '-n -1' '-n x' '--max-args=1.5' '--retries=-1' \
	'--retries x' '--nonsense' '-Z' '--null=1' '--halt=2'; do
	# shellcheck disable=SC2086 # words
	run 2 exec $bad touch "$work/ran" <"$in"
	refused
done
for bad in '' '--' '-j' '-j 2' '--arg-file' '-a' '-0 --'; do
	# shellcheck disable=SC2086
	run 2 exec $bad <"$in"
	refused
done
for bad in "$scratch/missing" "$scratch" "$scratch/in/under"; do
	run 2 exec -a "$in" -a "$bad" touch "$work/ran" <"$in"
	told "$bad: [A-Z]"
done
what='standard input is a directory'
run 2 exec touch "$work/ran" <"$scratch"
what='closed standard input'
run 125 exec touch "$work/ran" <&-
told 'standard input: Bad file descriptor$'

: >"$scratch/plain"
for bad in "$scratch/missing" no-such-command-of-any-kind '' "$scratch/in/under"; do
	run 127 exec "$bad" <"$in"
	told "cannot run '$bad': "
done
for bad in "$scratch/plain" "$scratch"; do
	run 126 exec "$bad" <"$in"
	told "cannot run '$bad': "
done
TMPDIR=$scratch/missing run 125 exec touch "$work/ran" <"$in"
told "no temporary file in $scratch/missing: "
[ ! -e "$work/ran" ] || fail 'something was run'

# A word with {} may name anything; each run tells for itself.
input 'echo\nno-such-command-of-any-kind\n'
run 1 exec '{}' <"$in"
told 'item "no-such-command-of-any-kind": cannot be started: '

# Input that goes wrong: what came before it has run.
input '1\n2\nx\0y\n3\n'
run 125 exec echo <"$in"
output '1\n2\n'
told 'standard input: line 3 holds a NUL byte'

run 0 exec --help
printed 'ipc-pool exec'
run_to /dev/full 1 exec --help

no_files
finish
