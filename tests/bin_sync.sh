#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-sync: what each mode prints and in which order, killed parties, wrong usage, lost output.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-sync

# ---- rlock

check_result()
{
	echo 'result: 0' | compare "$scratch/out"
}
run 0 --steps 1000
check_result
for steps in 0 1 20000; do
	with_both check_result rlock --steps $steps
done

# ---- semaphore

# Each comes and goes once, and never are more than two inside.
check_semaphore()
{
	for i in 1 2 3 4 5; do
		[ "$(grep "^$who-$i " "$scratch/out" | tr '\n' ,)" = "$who-$i acquire,$who-$i release," ] ||
			fail "$who-$i did not come and go"
	done
	[ "$(wc -l <"$scratch/out")" -eq 10 ] || fail "other lines"
	awk '/acquire$/ { inside++ } /release$/ { inside-- } inside < 0 || inside > 2 { bad = 1 } END { exit bad }' \
		"$scratch/out" || fail "more than two inside"
}
with_both check_semaphore semaphore --pause-ms 0
with_both check_semaphore semaphore --pause-ms 3

# The permits of the two that are killed inside come back, and others get in.
start_in_order 5 semaphore --pause-ms 700000
await printed ' acquire$' 2
inside=$(sed -n 's/^Process-\([1-5]\) acquire$/\1/p' "$scratch/out" | sort -nr)
entered=2
for number in $inside; do
	kill_number "$number"
	entered=$((entered + 1))
	await printed ' acquire$' $entered
	await are_there $((7 - entered))
done
! printed ' release$' || fail "somebody left"
[ "$(sort -u "$scratch/out" | wc -l)" -eq 4 ] || fail "one was inside twice"
kill_children
exit_status 1
for number in $inside; do
	told "Process-$number was killed: Killed"
done
await all_gone

# ---- hand-over

# Each number that is produced is the one that is consumed.
check_hand_over()
{
	sed -n 's/^Producer notify: produced item number //p' "$scratch/out" >"$scratch/items"
	[ "$(wc -l <"$scratch/items")" -eq 5 ] || fail "not five items"
	[ -z "$(awk '$1 < 0 || $1 > 1000' "$scratch/items")" ] || fail "a number out of 0 to 1000"
	while read -r item; do
		echo 'consumer is waiting'
		echo "Producer notify: produced item number $item"
		echo "Consumer notify: consumed item number $item"
	done <"$scratch/items" | sort >"$scratch/expected"
	sed '$d' "$scratch/out" | sort >"$scratch/normal"
	compare "$scratch/normal" <"$scratch/expected"
	[ "$(sed -n '$p' "$scratch/out")" = 'program terminated' ] || fail "no last line"
	awk '/produced/ { made = $NF; n++ } /consumed/ { if ($NF != made || n != ++taken) bad = 1 } END { exit bad }' \
		"$scratch/out" || fail "consumed before it was produced"
}
with_both check_hand_over hand-over --pause-ms 0
with_both check_hand_over hand-over --pause-ms 1 --seed 7
cp "$scratch/out" "$scratch/seven"
run 0 hand-over --pause-ms 0 --seed 7
grep number "$scratch/out" >"$scratch/normal"
grep number "$scratch/seven" | compare "$scratch/normal"

# ---- condition

# The lines tell a store that is never above five nor below zero, full or empty where they say so.
check_condition()
{
	awk '
	/^Producer notify: produced 1 item, items in the store: / { if ($NF != ++n || n > 5) bad = 1; made++; next }
	/^Consumer notify: consumed 1 item, items in the store: / { if ($NF != --n || n < 0) bad = 1; taken++; next }
	/^Producer notify: the store is full, stop production$/ { if (n != 5) bad = 1; next }
	/^Consumer notify: no item to consume$/ { if (n != 0) bad = 1; next }
	{ bad = 1 }
	END { exit bad || made != 20 || taken != 20 }' "$scratch/out" || {
		fail "no such store:"
		show
	}
}
with_both check_condition condition --pause-ms 0
with_both check_condition condition --pause-ms 1

# ---- abc, haggle

check_abc()
{
	for i in 1 2 3 4 5 6 7 8 9 10; do
		printf '%s\n' A B C
	done | compare "$scratch/out"
}
with_both check_abc abc
with_both check_abc abc --pause-ms 1

check_haggle()
{
	compare "$scratch/out" <<\END
buyer: How much is this teapot?
seller: Forty, and it does not drip.
buyer: Twenty, and I carry it home myself.
seller: Thirty, and I wrap it.
buyer: Twenty-five, and I tell nobody.
seller: It is yours.
END
}
with_both check_haggle haggle
with_both check_haggle haggle --pause-ms 1

# ---- ticks

# Both rounds tell all ticks of each waiter in their order.
check_ticks()
{
	sed '/^by event$/,$d' "$scratch/out" >"$scratch/condition"
	sed -n '/^by event$/,$p' "$scratch/out" >"$scratch/event"
	for way in condition event; do
		{
			echo "by $way"
			for i in 10 9 8 7 6 5 4 3 2 1; do
				echo "down: $i"
			done
			for i in 0 1 2 3 4; do
				echo "up: $i"
			done
		} >"$scratch/expected"
		grep -v '^up: ' "$scratch/$way" >"$scratch/normal"
		grep '^up: ' "$scratch/$way" >>"$scratch/normal"
		compare "$scratch/normal" <"$scratch/expected"
	done
}
with_both check_ticks ticks --pause-ms 0
with_both check_ticks ticks --pause-ms 2

# ---- with-all

check_with_all()
{
	for noun in lock rlock condition semaphore; do
		echo "(NAME) $noun acquired via with"
		echo "(NAME) $noun acquired directly"
	done | sort >"$scratch/expected"
	sed "s/^($who-[1-8])/(NAME)/" "$scratch/out" | sort >"$scratch/normal"
	compare "$scratch/normal" <"$scratch/expected"
	[ "$(sed 's/.*) \([a-z]*\) .*/\1/' "$scratch/out" | uniq | tr '\n' ' ')" = 'lock rlock condition semaphore ' ] ||
		fail "not one after the other"
}
with_both check_with_all with-all

# ---- ordered

check_ordered()
{
	sort "$scratch/out" | uniq -c | sed 's/^ *//' >"$scratch/normal"
	printf '%s\n' "5 $who-1 has x and y" "5 $who-2 has y and x" | compare "$scratch/normal"
}
with_both check_ordered ordered
with_both check_ordered ordered --pause-ms 0

# The one that is killed while it has both leaves them to the other.
start_in_order 2 ordered --pause-ms 3600000
await printed ' has '
holder=$(sed -n 's/^Process-\([12]\) has .*/\1/p' "$scratch/out")
kill_number "$holder"
await printed "^Process-$((3 - holder)) has "
kill_children
exit_status 1
told "Process-$holder was killed: Killed"
await all_gone

# ---- stop-flag

check_stop_flag()
{
	sed 's/after [0-9]* steps/after N steps/' "$scratch/out" | sort >"$scratch/normal"
	printf '%s\n' 'main: stop' 'worker: start' 'worker: stopped after N steps' | compare "$scratch/normal"
	sed -n '$p' "$scratch/out" | grep -q '^worker: stopped' || fail "not stopped by the event"
}
with_both check_stop_flag stop-flag --pause-ms 0
with_both check_stop_flag stop-flag --pause-ms 10

# ---- killed parties

one_killed 2 rlock --steps 1000000000
one_killed 2 hand-over --pause-ms 3600000
one_killed 2 condition --pause-ms 1800000
one_killed 3 abc --pause-ms 3600000
one_killed 2 haggle --pause-ms 3600000
one_killed 3 ticks --pause-ms 3600000
one_killed 1 stop-flag --pause-ms 600000

main_killed 2 rlock --steps 1000000000
main_killed 5 semaphore --pause-ms 700000
main_killed 2 hand-over --pause-ms 3600000
main_killed 2 condition --pause-ms 1800000
main_killed 3 abc --pause-ms 3600000
main_killed 2 ordered --pause-ms 3600000
main_killed 1 stop-flag --pause-ms 600000

# ---- options

modes='rlock semaphore hand-over condition abc haggle ticks with-all ordered stop-flag'
# shellcheck disable=SC2086 # one word for each
help_and_version $modes
wrong_numbers --steps 1000000000 rlock
wrong_numbers --pause-ms 3600000 semaphore
wrong_numbers --seed 9223372036854775807 hand-over
for mode in $modes; do
	[ $mode = hand-over ] || usage "the mode '$mode' has no option --seed" $mode --seed 1
	[ $mode = rlock ] || usage "the mode '$mode' has no option --steps" $mode --steps 1
done
for mode in rlock with-all; do
	usage "the mode '$mode' has no option --pause-ms" $mode --pause-ms 1
done

# ---- time, lost output, no descriptors

quick()
{
	case $1 in
	rlock) echo --steps 10 ;;
	with-all) ;;
	*) echo --pause-ms 0 ;;
	esac
}
for mode in $modes; do
	for threads in '' --threads; do
		# shellcheck disable=SC2046,SC2086 # words
		{
			timed "$([ "$threads" ] && echo threads || echo processes)" $mode $(quick $mode) $threads
			lost $mode $(quick $mode) $threads
			broken_pipe $mode $(quick $mode) $threads
		}
	done
	few_files 4 'cannot start a process' $mode
done

finish
