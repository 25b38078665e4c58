#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-dict: the example, words counted, dicts between shells, wrong usage, lost output.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-dict

# All names begin with it; so other tests know that they are not theirs.
d=t$$.dict

clean_segments()
{
	for file in /dev/shm/ipck."$d"*; do
		[ ! -e "$file" ] || "$binary" unlink "${file#/dev/shm/ipck.}"
	done
}

clean_names()
{
	clean_segments
	clean
}
trap clean_names EXIT

in=$scratch/in

# prints TEXT: that is the whole output.
prints()
{
	silent
	printf '%s\n' "$1" | compare "$scratch/out"
}

# ---- shared

check_shared()
{
	for i in 0 1 2 3 4 5 6 7 8 9; do
		printed "^key = $i value = $((2 * i))\$" 1 || fail "$i was not stored"
	done
	[ "$(wc -l <"$scratch/out")" -eq 11 ] || fail "other lines"
	[ "$(sed -n '$p' "$scratch/out")" = \
		'Results: {0: 0, 1: 2, 2: 4, 3: 6, 4: 8, 5: 10, 6: 12, 7: 14, 8: 16, 9: 18}' ] || fail "other results"
}
with_both check_shared shared
run 0
who=Process
check_shared

# ---- wordcount

# The same by other means.
count_words()
{
	for file; do
		cat "$file"
		echo
	done | tr A-Z a-z | tr -cs a-z0-9 '\n' | grep . | sort | uniq -c | sed 's/^ *//' | sort -k1,1nr -k2,2
}

# counted FILE...: with any number of workers.
counted()
{
	count_words "$@" >"$scratch/words"
	for jobs in 1 2 3 4; do
		run 0 wordcount -j $jobs "$@"
		silent
		compare "$scratch/out" <"$scratch/words"
	done
}

printf 'The cat, the dog\nand THE 2 mice; mice_2 caf\303\251s' >"$in"
run 0 wordcount "$in"
prints '3 the
2 2
2 mice
1 and
1 caf
1 cat
1 dog
1 s'
run 0 wordcount --top 2 "$in"
prints '3 the
2 2'
run 0 wordcount "$in" --top 100
[ "$(wc -l <"$scratch/out")" -eq 8 ] || fail "other lines"

# Files of the source tree, many and as one.
counted "$srcdir"/lib/mem/*.c "$srcdir"/man/*.1
cat "$srcdir"/lib/*/*.c "$srcdir"/bin/*.c >"$scratch/one"
counted "$scratch/one"
run 0 wordcount - <"$scratch/one"
count_words "$scratch/one" | compare "$scratch/out"
what='wordcount of a pipe'
# shellcheck disable=SC2002 # a pipe is what is tested
cat "$scratch/one" | "$binary" wordcount >"$scratch/out" || fail "it failed"
count_words "$scratch/one" | compare "$scratch/out"

# No words; a program; what says that it is empty.
: >"$scratch/empty"
for jobs in 1 4; do
	run 0 wordcount -j $jobs "$scratch/empty" /dev/null
	silent
	[ ! -s "$scratch/out" ] || fail "words of nothing"
done
printf ' .,\n\0\377' >"$in"
counted "$in"
[ ! -s "$scratch/out" ] || fail "words of signs"
head -c 300000 "$binary" >"$in"
counted "$in"
counted "$scratch/empty" "$in" "$scratch/empty" "$scratch/one" "$scratch/empty"
counted /proc/version
# A word ends with its file.
printf a >"$in"
run 0 wordcount "$in" "$in"
prints '2 a'

# Words as long as the parts, or longer, on and beside their borders.
for length in 65534 65535 65536 65537 140000 300000; do
	head -c $length /dev/zero | tr '\0' x
	printf ' y '
done >"$in"
counted "$in"
tr -d ' ' <"$in" >"$scratch/long"
counted "$scratch/long"
tr x ' ' <"$in" >"$scratch/long"
counted "$scratch/long"

# What cannot be read is told, the rest is counted.
printf 'b a b' >"$in"
run 1 wordcount "$scratch/nonesuch" "$in" "$scratch"
told "$scratch/nonesuch: No such file or directory"
told "$scratch: Is a directory"
printf '2 b\n1 a\n' | compare "$scratch/out"
run_to -- 1 wordcount
told 'standard input: Bad file descriptor'
few_files 4 'cannot make a [a-z]*' wordcount "$in"

# Workers, and their master, that are killed, whatever they are doing, cost nothing, and no word is counted twice.
for i in 1 2 3 4 5 6 7 8; do
	cat "$scratch/one"
	echo
done >"$scratch/eight"
count_words "$scratch/one" | awk '{ print 8 * $1, $2 }' >"$scratch/words"
# The shell may have seen its end.
over()
{
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$child/stat" 2>/dev/null)
	[ "${state:-Z}" = Z ]
}
there_or_over()
{
	are_there 3 || over
}
# Three at any time; more could be taken for workers that cannot work.
for round in 1 2 3 4; do
	start wordcount -j 2 "$scratch/eight"
	for victim in 3 2 $((round % 3 + 1)); do
		await there_or_over
		over || kill_number $victim 2>/dev/null
	done
	exit_status 0
	silent
	compare "$scratch/out" <"$scratch/words"
done
await all_gone

# ---- get, set, del, list

for mode in get del; do
	run 1 $mode $d key
	told "$d: There is no such dict"
done
for mode in list unlink; do
	run 1 $mode $d
	told "$d: There is no such dict"
done
run 0 set --mode 640 --max-bytes 1000000 $d one 'a value'
silent
[ ! -s "$scratch/out" ] || fail "set prints"
[ "$(stat -c %a /dev/shm/ipck.$d)" = 640 ] || fail "other permissions"
run 0 get $d one
prints 'a value'
run 1 get $d two
told "$d: there is no key 'two'"
run 0 set $d one ''
run 0 get $d one
prints ''
run 0 get --raw $d one
[ ! -s "$scratch/out" ] || fail "the empty value has bytes"
# What is behind the name may look like an option, and be empty.
run 0 set $d -c --raw
run 0 get $d -c
prints --raw
run 0 set $d '' 'of the empty key'
run 0 list $d
prints '	of the empty key
-c	--raw
one	'
run 1 del $d -c nonesuch ''
told "$d: there is no key 'nonesuch'"
run 0 list $d
prints 'one	'

# Bytes of any kind, short and long.
head -c 100000 /dev/urandom >"$scratch/random"
run 0 set $d random <"$scratch/random"
run 0 get --raw $d random
cmp "$scratch/out" "$scratch/random" || fail "another value"
run 0 set $d random </dev/null
run 0 get $d random
prints ''
run_to -- 1 set $d random
told 'standard input: Bad file descriptor'
head -c 2000000 /dev/zero >"$in"
run 1 set $d large <"$in"
told "$d: There is no room in it, or in shared memory"
run 1 set $d endless </dev/zero
told "$d: There is no room in it, or in shared memory"
run 0 del $d random
run 0 list -0 $d
printf 'one\t\0' | cmp - "$scratch/out" || fail "other lines"
"$binary" unlink $d

# Many keys, sorted by their bytes.
for i in 9 10 1 B a ab 'a b' A 2; do
	"$binary" set $d "$i" "<$i>" || fail "set failed"
done
run 0 list $d
prints '1	<1>
10	<10>
2	<2>
9	<9>
A	<A>
B	<B>
a	<a>
a b	<a b>
ab	<ab>'
"$binary" unlink $d

# ---- add

run 0 add $d hits
prints 1
run 0 add $d hits 41
prints 42
run 0 add $d hits -50
prints -8
run 0 get -c $d hits
prints -8
run 0 get --raw $d hits
[ "$(wc -c <"$scratch/out")" -eq 8 ] || fail "a count has not 8 bytes"
run 0 set -c $d hits 9223372036854775807
run 0 add $d hits
prints -9223372036854775808
run 0 set $d text words
run 0 set $d octet '12345678'
run 0 list $d
printed '^octet	12345678$' 1 || fail "another value"
run 0 set --count $d hits 7
run 0 del $d octet
run 0 list --count $d
prints 'hits	7
text	words'
for mode in 'get -c' add; do
	# shellcheck disable=SC2086 # with its option
	run 1 $mode $d text
	told "$d: the value of 'text' is no count"
done
"$binary" unlink $d

# Several at once, who make it, too: each number is printed once.
for adder in a b c d; do
	(
		i=0
		while [ $i -lt 25 ]; do
			"$binary" add $d sum || exit 1
			i=$((i + 1))
		done >"$scratch/add.$adder"
	) &
	eval "adder_$adder=$!"
done
what='four that add'
# shellcheck disable=SC2154 # set by eval
for pid in $adder_a $adder_b $adder_c $adder_d; do
	wait "$pid" || fail "add failed"
done
sort -n "$scratch"/add.? >"$scratch/normal"
seq 100 | compare "$scratch/normal"

# ---- lost output

"$binary" set $d key value
for mode in get add; do
	lost $mode $d sum
	broken_pipe $mode $d sum
done
lost list $d
broken_pipe list $d
lost wordcount "$scratch/one"
broken_pipe wordcount "$scratch/one"
"$binary" unlink $d

# ---- usage

for mode in get set del add list unlink; do
	own_help=" $mode"
	run 0 $mode --help
	silent
	printed "^Usage: ipc-dict $mode .*NAME" 1 || fail "no usage line"
	lost $mode --help
	usage 'there is no name of a dict' $mode
	usage "unrecognized option '--nonesuch'" $mode --nonesuch $d
	key=key
	case $mode in
	del) ;;
	get) usage "unexpected argument 'more'" $mode $d key more ;;
	set | add) usage "unexpected argument 'more'" $mode $d key 1 more ;;
	*) usage "unexpected argument 'more'" $mode $d more
		key= ;;
	esac
	[ -z "$key" ] || usage 'there is no key' $mode $d
	for bad in '' 'a b' a/b "$(printf %0201d 0)"; do
		usage "'$bad' is no name" $mode "$bad" ${key:+$key}
	done
done
for mode in set add; do
	own_help=" $mode"
	for value in '' x 99999999999 -1 0; do
		usage "--max-bytes: '$value' is not a number" $mode "--max-bytes=$value" $d key
	done
	usage '--max-bytes: 1000 is too small' $mode --max-bytes 1000 $d key
	for value in '' 0 8 1000 -1 x 0x1 ' 7'; do
		usage "--mode: '$value' is not an octal number" $mode "--mode=$value" $d key
	done
done
own_help=' add'
for value in '' x 1x ' 1' +1 99999999999999999999999; do
	usage "'$value' is not a number" add $d key "$value"
done
own_help=' set'
usage "'x' is not a number" set -c $d key x
usage '--count: there is no VALUE' set -c $d key
own_help=' wordcount'
run 0 wordcount --help
silent
printed '^Usage: ipc-dict wordcount .*FILE' 1 || fail "no usage line"
wrong_numbers --jobs 4096 wordcount
wrong_numbers --top 9223372036854775807 wordcount
usage "--top: '0' is not a number" wordcount --top 0
own_help=
help_and_version shared wordcount get set del add list unlink
timed processes shared
timed threads shared --threads
lost shared
broken_pipe shared
broken_pipe shared --threads
few_files 4 'cannot start a process' shared

# Nothing was made by wrong usage, and names that were removed leave nothing.
left=$(find /dev/shm -name "ipck*.$d*")
[ -z "$left" ] || fail "left: $left"

finish
