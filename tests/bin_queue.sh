#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-queue: what each example prints, killed parties, queues between shells, wrong usage, lost output.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-queue

# All names begin with it; so other tests know that they are not theirs.
q=t$$.queue

clean_segments()
{
	for file in /dev/shm/ipck."$q"*; do
		[ ! -e "$file" ] || "$binary" unlink "${file#/dev/shm/ipck.}"
	done
}

clean_names()
{
	clean_segments
	rm -f /dev/shm/ipck-bell."$q"*
	clean
}
trap clean_names EXIT

in=$scratch/in

# put COMMAND...: what it prints is put into the queue $q.
put()
{
	"$@" | "$binary" send --timeout-ms 60000 $q || fail "send failed"
}

# there COUNT: so many messages are in the queue.
there()
{
	[ "$(figure items)" = "$1" ] || fail "there are $(figure items) messages, not $1"
}

figure()
{
	"$binary" stat $q | sed -n "s/^$1: //p"
}

# is PID STATE: S: its one thread waits for something; Z: it has ended.
is()
{
	[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null)" = "$2" ]
}

# The children of a mode that is to be caught while it works: there, or it has ended.
there_or_over()
{
	are_there "$number" || is "$child" Z || [ ! -d "/proc/$child" ]
}

# killed_in_time NUMBER VICTIM MODE: of so many, kills one while they work; where that was too late, again with
# longer pauses, and also where the pids have not the order of the start.
killed_in_time()
{
	number=$1 victim=$2 mode=$3 pause=100 status=0
	while [ $status -eq 0 ] && [ $pause -lt 20000 ]; do
		start "$mode" --pause-ms $pause
		until there_or_over; do
			sleep 0.02
		done
		order=$(children | sort -n | sed 1q)
		[ "${order:-0}" -lt "$child" ] || kill_number "$victim" 2>/dev/null
		wait "$child" || status=$?
		pause=$((2 * pause))
	done
	[ $status -eq 1 ] || fail "exit status $status, not 1"
	told "Process-$victim was killed: Killed"
	await all_gone
}

# ---- items

# Each item is got once, and after it was put.
check_items()
{
	awk '
	/^Producer notify: item number [0-9] by Process-1$/ { if ($5 != put++) bad = 1; next }
	/^Consumer notify: get item [0-9] by Process-[234]$/ { if ($5 >= put || got[$5]++) bad = 1; all++; next }
	{ bad = 1 }
	END { exit bad || put != 10 || all != 10 }' "$scratch/out" || {
		fail "no such items:"
		show
	}
}
for pause in 0 2; do
	run 0 items --pause-ms $pause
	silent
	check_items
done
run 0 --pause-ms 0
check_items

# A consumer that is killed is told at the end, when the producer is, too; the main process ends the others.
start_in_order 4 items --pause-ms 3600000
await printed '^Consumer notify: get item 0 '
kill_number 4
await are_there 3
kill_number 1
exit_status 1
told 'Process-1 was killed: Killed'
told 'Process-4 was killed: Killed'
[ "$(wc -l <"$scratch/err")" -eq 2 ] || fail "more than two messages"
await all_gone
main_killed 4 items --pause-ms 3600000

# ---- sentinel

for pause in 0 2; do
	run 0 sentinel --pause-ms $pause
	silent
	grep '^Consumer' "$scratch/out" >"$scratch/normal"
	{
		for i in 0 1 2 3 4 5 6 7 8 9; do
			echo "Consumer notify: get item $i by Process-2"
		done
		echo 'Consumer notify: get sentinel by Process-2'
	} | compare "$scratch/normal"
	grep '^Producer' "$scratch/out" >"$scratch/normal"
	{
		for i in 0 1 2 3 4 5 6 7 8 9; do
			echo "Producer notify: item number $i by Process-1"
		done
		echo 'Producer notify: sentinel by Process-1'
	} | compare "$scratch/normal"
done
one_killed 2 sentinel --pause-ms 3600000
main_killed 2 sentinel --pause-ms 3600000

# ---- write-read

check_write_read()
{
	silent
	sed 's/: [0-9][0-9]*$/: PID/' "$scratch/out" | sort >"$scratch/normal"
	compare "$scratch/normal" <<\END
Get val_1 from queue
Get val_2 from queue
Get val_3 from queue
Process to read: PID
Process to write: PID
Put val_1 to queue
Put val_2 to queue
Put val_3 to queue
END
	awk '/^Put/ { put = $2 } /^Get/ { if ($2 > put || $2 <= got) bad = 1; got = $2 } END { exit bad }' \
		"$scratch/out" || fail "another order"
}
for pause in 0 5; do
	run 0 write-read --pause-ms $pause
	check_write_read
	run 0 write-read --pause-ms $pause --seed 5
	check_write_read
done

# Whichever of the two is killed, the other one ends.
killed_in_time 2 1 write-read
killed_in_time 2 2 write-read
main_killed 2 write-read --pause-ms 3600000

# ---- pipeline

# Each of ten is made, then used, by those who do that.
check_pipeline()
{
	sed "s/by $who-[123], products in the queue: [0-9]*\$/by A MAKER/
	s/by $who-[45], products in the queue: [0-9]*\$/by A USER/" "$scratch/out" | sort >"$scratch/normal"
	{
		for i in 0 1 2 3 4 5 6 7 8 9; do
			echo "Consumer notify: used product $i by A USER"
		done
		for i in 0 1 2 3 4 5 6 7 8 9; do
			echo "Producer notify: made product $i of material $i by A MAKER"
		done
		echo 'materials in the queue: 10'
	} | compare "$scratch/normal"
}
with_both check_pipeline pipeline --pause-ms 0
with_both check_pipeline pipeline --pause-ms 3

# What the killed one had in its hands is done by another one.
for victim in 1 2 5; do
	killed_in_time 5 $victim pipeline
	for i in 0 1 2 3 4 5 6 7 8 9; do
		grep -q "^Consumer notify: used product $i by " "$scratch/out" || fail "product $i is lost"
	done
done
main_killed 5 pipeline --pause-ms 3600000

# ---- joinable

check_joinable()
{
	for i in 0 1 2 3 4 5 6 7 8 9; do
		printed "^Working on $i by $who-[123]\$" 1 || fail "$i was not worked on"
		printed "^Finished $i by $who-[123]\$" 1 || fail "$i was not finished"
	done
	[ "$(wc -l <"$scratch/out")" -eq 21 ] || fail "other lines"
	[ "$(sed -n '$p' "$scratch/out")" = 'All work completed' ] || fail "not waited for all"
}
with_both check_joinable joinable --pause-ms 0
with_both check_joinable joinable --pause-ms 3
for victim in 1 3; do
	killed_in_time 3 $victim joinable
	for i in 0 1 2 3 4 5 6 7 8 9; do
		grep -q "^Finished $i by " "$scratch/out" || fail "$i was not finished"
	done
	printed '^All work completed$' 1 || fail "the end is not told"
done
# When nobody is left, nothing is waited for.
start joinable --pause-ms 3600000
await are_there 3
kill_children
exit_status 1
! printed '^All work completed$' || fail "nobody did it"
main_killed 3 joinable --pause-ms 3600000

# ---- send, recv: lines

run 1 stat $q
told "$q: There is no such queue"
printf 'one\n\nthree three\nlast' >"$in"
run 0 send $q "$in"
silent
[ ! -s "$scratch/out" ] || fail "send prints"
there 4
run 0 recv $q
silent
printf 'one\n\nthree three\nlast\n' | compare "$scratch/out"
run 0 recv $q
silent
[ ! -s "$scratch/out" ] || fail "something was left"

# Standard input, files and both; what ends with NUL.
put printf '1\n2\n'
printf 'in\n' | "$binary" send $q "$in" - || fail "send failed"
run 0 recv $q
printf '1\n2\none\n\nthree three\nlast\nin\n' | compare "$scratch/out"
put printf ''
there 0
printf 'a\nb\0\0c' | "$binary" send -0 $q || fail "send failed"
there 3
run 0 recv --null $q
printf 'a\nb\0\0c\0' | cmp - "$scratch/out" || fail "other messages"

# --count: no more, and fewer are a failure.
put seq 10
run 0 recv --count 3 $q
seq 3 | compare "$scratch/out"
run 0 recv -n 1 $q
echo 4 | compare "$scratch/out"
run 1 recv --count 7 $q
told "$q: 6 of 7 messages: It is empty"
seq 5 10 | compare "$scratch/out"
run 1 recv --follow --count 1 --timeout-ms 10 $q
told "$q: The deadline passed"

# Long rows of all sizes, through a small queue.
"$binary" unlink $q
awk 'BEGIN { for (i = 0; i < 1200; i++) { printf "%d", i; for (k = i % 400; k > 0; k--) printf " word"; print "" } }' >"$in"
start recv --follow $q
"$binary" send --bytes 4096 $q "$in" || fail "send failed"
"$binary" shutdown $q || fail "shutdown failed"
exit_status 0
silent
compare "$scratch/out" <"$in"
run 0 recv $q
run 1 send $q "$in"
told "$q: It was shut down"
run 1 recv --count 1 $q
told "$q: 0 of 1 messages: It was shut down"
"$binary" unlink $q

# ---- send, recv: files

seq 1000 >"$in"
head -c 100000 /dev/urandom >"$scratch/random"
: >"$scratch/empty"
run 0 send --file $q "$scratch/random" "$scratch/empty" "$in"
there 3
run 0 recv --file --count 1 $q
cmp "$scratch/out" "$scratch/random" || fail "another file"
run 0 recv -f --count 1 $q
[ ! -s "$scratch/out" ] || fail "the empty message has bytes"
run 0 recv -f $q
compare "$scratch/out" <"$in"

# Into files of their own: the first numbers that are free.
mkdir "$scratch/files"
echo mine >"$scratch/files/2.x"
run 0 send --file $q "$scratch/random" "$scratch/empty" - <"$in"
run 0 recv --output "$scratch/files/{}.x" $q
silent
[ ! -s "$scratch/out" ] || fail "it prints"
cmp "$scratch/files/1.x" "$scratch/random" || fail "another file"
echo mine | compare "$scratch/files/2.x"
cmp "$scratch/files/3.x" "$scratch/empty" || fail "no empty file"
compare "$scratch/files/4.x" <"$in"
[ "$(find "$scratch/files" -type f | wc -l)" -eq 4 ] || fail "other files"
put echo kept
run 1 recv --output "$scratch/none/{}" $q
told "$scratch/none/0: No such file or directory"
there 1
run 0 recv $q
echo kept | compare "$scratch/out"

# What cannot be read, or is too large, is told, and the others are sent.
run 1 send --file $q "$scratch/nonesuch" "$scratch" "$scratch/random"
told "$scratch/nonesuch: No such file or directory"
told "$scratch: Is a directory"
there 1
"$binary" unlink $q
{
	echo first
	tr '\n' x <"$scratch/random"
} >"$scratch/mixed"
echo second >"$in"
run 1 send --bytes 4096 $q "$scratch/mixed" "$in"
told "$scratch/mixed: line 2 is larger than the largest message of the queue, 4080 bytes"
run 1 send --file $q "$scratch/random"
told "$scratch/random: it is larger than the largest message of the queue, 4080 bytes"
run 0 recv $q
printf 'first\nsecond\n' | compare "$scratch/out"
# The largest itself.
tr '\n' x <"$scratch/random" | head -c 4080 >"$in"
run 0 send $q "$in"
run 0 recv -f $q
cmp "$scratch/out" "$in" || fail "another message"
"$binary" unlink $q

# ---- many: each line arrives once, those of a sender in their order

for sender in a b; do
	seq 3000 | sed "s/^/$sender /" >"$scratch/send.$sender"
	"$binary" send --timeout-ms 60000 --bytes 4096 $q "$scratch/send.$sender" &
	eval "sender_$sender=$!"
	"$binary" recv --follow --timeout-ms 60000 $q >"$scratch/recv.$sender" &
	eval "receiver_$sender=$!"
done
what='two senders, two receivers'
# shellcheck disable=SC2154 # set by eval
for pid in $sender_a $sender_b; do
	wait "$pid" || fail "send failed"
done
"$binary" shutdown $q
# shellcheck disable=SC2154 # set by eval
for pid in $receiver_a $receiver_b; do
	wait "$pid" || fail "recv failed"
done
sort "$scratch/send.a" "$scratch/send.b" >"$scratch/expected"
sort "$scratch/recv.a" "$scratch/recv.b" >"$scratch/normal"
compare "$scratch/normal" <"$scratch/expected"
for receiver in a b; do
	awk '$2 <= last[$1] { bad = 1 } { last[$1] = $2 } END { exit bad }' "$scratch/recv.$receiver" ||
		fail "not in the order in which they were sent"
done
"$binary" unlink $q

# ---- killed in the middle: what was not written whole is received by another one

put seq 20000
rm -f "$scratch/fifo"
mkfifo "$scratch/fifo"
exec 4<>"$scratch/fifo"
what='recv, killed'
"$binary" recv --follow $q >"$scratch/fifo" &
child=$!
holds_some()
{
	[ "$(figure held)" -gt 0 ] && is $child S
}
await holds_some
kill -9 $child
wait $child 2>/dev/null
exec 5<"$scratch/fifo" 4>&-
cat <&5 >"$scratch/written"
exec 5<&-
run 0 recv --timeout-ms 60000 $q
# Without a part of a line at its end.
{
	if [ -z "$(tail -c 1 "$scratch/written")" ]; then
		cat "$scratch/written"
	else
		sed '$d' "$scratch/written"
	fi
	cat "$scratch/out"
} | sort -nu >"$scratch/normal"
seq 20000 | compare "$scratch/normal"
[ "$(figure held)" -eq 0 ] || fail "somebody dead holds messages"

# ---- Ctrl-C

# interrupted STATUS SIGNAL MODE...: asleep, it ends by the signal, and says nothing.
interrupted()
{
	expected_status=$1 number=$2
	shift 2
	start "$@"
	await waits_caught
	kill "-$number" $child
	exit_status "$expected_status"
	silent
}

# It catches SIGINT, and sleeps.
waits_caught()
{
	[ $((0x$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$child/status") & 2)) -ne 0 ] && is $child S
}
for signal in 130-INT 143-TERM 129-HUP; do
	interrupted ${signal%-*} ${signal#*-} recv --follow $q
	interrupted ${signal%-*} ${signal#*-} recv ${q}_missing
done
"$binary" unlink $q
seq 2000 >"$in"
interrupted 130 INT send --bytes 4096 $q "$in"
run 0 recv $q
seq "$(wc -l <"$scratch/out")" | compare "$scratch/out"
[ -s "$scratch/out" ] || fail "nothing was sent"
# While it waits for input.
exec 4<>"$scratch/fifo"
interrupted 130 INT send $q "$scratch/fifo"
exec 4>&-
there 0

# ---- a queue that is missing

"$binary" unlink $q
start recv --timeout-ms 60000 $q
await waits_caught
put echo first
exit_status 0
echo first | compare "$scratch/out"
"$binary" unlink $q
run 1 recv --timeout-ms 1 $q
told "$q: There is no such queue"
for mode in stat shutdown unlink; do
	run 1 $mode $q
	told "$q: There is no such queue"
done

# ---- stat, shutdown, how it is made

run 0 send --bytes 10000 --max-items 3 --mode 640 $q /dev/null
[ "$(stat -c %a /dev/shm/ipck.$q)" = 640 ] || fail "other permissions"
put seq 3
run 1 send --timeout-ms 1 $q "$in"
told "$q: The deadline passed"
run 0 recv --count 1 $q
run 0 stat $q
silent
sed 's/^\([a-z]*-waits\): [0-9]*$/\1: N/' "$scratch/out" >"$scratch/normal"
compare "$scratch/normal" <<\END
items: 2
most-items: 3
max-items: 3
held: 0
bytes: 16384
bytes-used: 64
largest: 16368
puts: 3
gets: 1
bytes-put: 3
bytes-got: 1
put-waits: N
get-waits: N
recovered: 0
joinable: no
leases: no
unfinished: 0
shutdown: no
END
run 0 shutdown $q
silent
[ "$(figure shutdown)" = drain ] || fail "not shut down"
there 2
run 0 shutdown --immediate $q
[ "$(figure shutdown)" = immediate ] || fail "not shut down"
there 0
run 0 recv --follow $q
"$binary" unlink $q

# ---- lost output: the messages stay

put seq 5
for option in '' --null --file --follow; do
	# shellcheck disable=SC2086 # no argument at all
	lost recv $option $q
	# shellcheck disable=SC2086
	broken_pipe recv $option $q
done
there 5
run 0 recv $q
seq 5 | compare "$scratch/out"
lost stat $q

# ---- usage

for mode in send recv stat shutdown unlink; do
	own_help=" $mode"
	run 0 $mode --help
	silent
	printed "^Usage: ipc-queue $mode .*NAME" 1 || fail "no usage line"
	lost $mode --help
	usage 'there is no name of a queue' $mode
	usage "unrecognized option '--nonesuch'" $mode --nonesuch $q
	[ $mode = send ] || usage "unexpected argument 'more'" $mode $q more
	for bad in '' 'a b' a/b "$(printf %0201d 0)"; do
		usage "'$bad' is no name" $mode "$bad"
	done
done
own_help=' send'
wrong_numbers --bytes 4294967296 send $q
wrong_numbers --max-items 2147483647 send $q
wrong_numbers --timeout-ms 86400000 send $q
for value in '' 0 8 1000 -1 x 0x1 ' 7'; do
	usage "--mode: '$value' is not an octal number" send "--mode=$value" $q
done
usage 'only one of --null, --file' send --null --file $q
own_help=' recv'
wrong_numbers --count 9223372036854775807 recv $q
wrong_numbers --timeout-ms 86400000 recv $q
usage "--output: 'x' has no {}" recv --output x $q
usage 'only one of --null, --file, --output' recv --null --output 'x{}' $q
own_help=
help_and_version items sentinel write-read pipeline joinable send recv stat shutdown unlink
wrong_numbers --pause-ms 3600000 items
wrong_numbers --seed 9223372036854775807 write-read
for mode in items sentinel write-read; do
	usage "the mode '$mode' has no option --threads" $mode --threads
	timed processes $mode --pause-ms 0
done
for mode in pipeline joinable; do
	timed processes $mode --pause-ms 0
	timed threads $mode --pause-ms 0 --threads
	lost $mode --pause-ms 0 --threads
	broken_pipe $mode --pause-ms 0 --threads
done
for mode in items sentinel write-read pipeline joinable; do
	lost $mode --pause-ms 0
	broken_pipe $mode --pause-ms 0
	few_files 4 'cannot make a queue' $mode
done

# Names that were removed leave nothing.
clean_segments
left=$(find /dev/shm -name "ipck*.$q*")
[ -z "$left" ] || fail "left: $left"

finish
