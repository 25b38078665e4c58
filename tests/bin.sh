# SPDX-License-Identifier: MIT
# Read by the tests of the binaries, which are found in $top_builddir.
#
#	tool ipc-process            the binary under test
#	run 0 self --twice          runs it; its exit status must be 0
#	run_to FILE 1 self          the same with standard output to FILE
#	same <<\END ... END         its output, normalised, must be this text
#	finish
#
# The output of the last run is in $scratch/out, its messages in $scratch/err.

set -u
LC_ALL=C
export LC_ALL
top_builddir=${top_builddir:-.}
failures=0
scratch=$(mktemp -d) || exit 1

# Every process that is started here carries this in its environment.
mark=BIN_TEST_$$

fail()
{
	echo "FAIL: $what: $*"
	failures=$((failures + 1))
}

# The pids of all marked processes that run; one that is only to be reaped has no environment any more.
marked()
{
	grep -l "^$mark=\|[^A-Z]$mark=" /proc/[0-9]*/environ 2>/dev/null | sed 's,/proc/\([0-9]*\)/.*,\1,'
}

clean()
{
	left=$(marked)
	# shellcheck disable=SC2086 # one word for each pid
	[ -z "$left" ] || kill -9 $left 2>/dev/null
	rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

# tool NAME
tool()
{
	name=$1
	binary=$top_builddir/$name
	what=$name
	[ -x "$binary" ] || {
		echo "FAIL: there is no program $binary"
		exit 1
	}
}

show()
{
	sed 's/^/	out: /' "$scratch/out"
	sed 's/^/	err: /' "$scratch/err"
}

# run_to FILE STATUS [ARGUMENT...]; FILE - closes standard output, -- standard input as well.
run_to()
{
	file=$1 expected=$2
	shift 2
	what="$name $*"
	echo "$what"
	: >"$scratch/out"
	status=0
	case $file in
	-) env "$mark=1" timeout 60 "$binary" "$@" >&- 2>"$scratch/err" || status=$? ;;
	--) env "$mark=1" timeout 60 "$binary" "$@" <&- >&- 2>"$scratch/err" || status=$? ;;
	*) env "$mark=1" timeout 60 "$binary" "$@" >"$file" 2>"$scratch/err" || status=$? ;;
	esac
	[ "$status" -eq "$expected" ] || {
		fail "exit status $status, not $expected"
		show
	}
	# As marked; this runs once for each run of the binary, so it is one process.
	left=$(grep -lF "$mark=1" /proc/[0-9]*/environ 2>/dev/null)
	[ -z "$left" ] || fail "left these processes: $(marked)"
}

run()
{
	run_to "$scratch/out" "$@"
}

# Runs it in the background; $child is its pid.
start()
{
	what="$name $*"
	echo "$what &"
	: >"$scratch/out" # here: the background may be late to do it
	env --default-signal "$mark=1" "$binary" "$@" >"$scratch/out" 2>"$scratch/err" &
	child=$!
}

# await COMMAND...: until it succeeds; for at most a minute, which fails the test.
await()
{
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 2000 ] || {
			fail "waited in vain: $*"
			show
			return 1
		}
		sleep 0.03
	done
}

all_gone()
{
	[ -z "$(marked)" ]
}

# The pids of the children of the program that start began.
children()
{
	marked | grep -vx "$child"
}

are_there()
{
	[ "$(children | wc -l)" -eq "$1" ]
}

kill_children()
{
	# shellcheck disable=SC2046 # one word for each pid
	kill -9 $(children)
}

# printed REGEX [COUNT]: so many lines of the output match; without a count at least one.
printed()
{
	n=$(grep -c "$1" "$scratch/out")
	[ "${2:-$n}" -eq "$n" ] && [ "$n" -gt 0 ]
}

# The end of the program that start began: exit_status STATUS
exit_status()
{
	status=0
	wait "$child" || status=$?
	[ "$status" -eq "$1" ] || {
		fail "exit status $status, not $1"
		show
	}
}

# with_both CHECK MODE...: runs and checks it with processes, and then with threads; $who is what they are called.
with_both()
{
	check=$1
	shift
	for who in Process Thread; do
		option=
		[ $who = Process ] || option=--threads
		# shellcheck disable=SC2086 # no argument at all for processes
		run 0 "$@" $option
		silent
		$check
	done
}

# start_in_order NUMBER MODE...: starts it, until so many children are left whose pids have the order in which they
# were started: it is lost where pids begin again at the smallest.
start_in_order()
{
	number=$1
	shift
	while :; do
		start "$@"
		await are_there "$number"
		[ "$(children | sort -n | sed 1q)" -lt "$child" ] || return 0
		kill -9 "$child"
		wait "$child" 2>/dev/null
		await all_gone
	done
}

# kill_number I: the i-th of the children that are left.
kill_number()
{
	kill -9 "$(children | sort -n | sed -n "$1p")"
}

# one_killed NUMBER MODE...: of so many, any one is killed; the others end, and only that one is told.
one_killed()
{
	number=$1
	shift
	i=1
	while [ $i -le "$number" ]; do
		start "$@"
		await are_there "$number"
		kill_number $i
		exit_status 1
		told 'Process-[1-3] was killed: Killed'
		[ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "more than one message: $(cat "$scratch/err")"
		await all_gone
		i=$((i + 1))
	done
}

# main_killed NUMBER MODE...: the others end with the main process.
main_killed()
{
	number=$1
	shift
	start "$@"
	await are_there "$number"
	kill -9 "$child"
	wait "$child" 2>/dev/null
	await all_gone
}

# Pids and times are other ones in each run.
normalise()
{
	sed -e 's/[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] [0-9]\{4\}/TIME/' \
		-e 's/pid -> [0-9][0-9]*/pid -> PID/' -e 's/Process([0-9][0-9]*)/Process(PID)/g' "$@"
}

# compare FILE: it must be the text on standard input.
compare()
{
	diff -u - "$1" >"$scratch/diff" || {
		fail "another output:"
		cat "$scratch/diff"
	}
}

same()
{
	normalise "$scratch/out" >"$scratch/normal"
	compare "$scratch/normal"
}

# The same, whatever the order of the lines.
same_lines()
{
	sort >"$scratch/expected"
	normalise "$scratch/out" | sort >"$scratch/normal"
	compare "$scratch/normal" <"$scratch/expected"
}

silent()
{
	[ ! -s "$scratch/err" ] || {
		fail "unexpected messages:"
		show
	}
}

# told REGEX: a message matches; every message says whose it is.
told()
{
	grep -q "^$name: $1" "$scratch/err" || {
		fail "no message '$1'"
		show
	}
	! grep -v "^$name: \|^Try '$name" "$scratch/err" >"$scratch/foreign" || {
		fail "messages that do not say whose they are:"
		cat "$scratch/foreign"
	}
}

# usage MESSAGE ARGUMENT...: wrong usage; nothing is done.  $own_help: " MODE" if that has a help of its own.
own_help=
usage()
{
	message=$1
	shift
	run 2 "$@"
	told "$message"
	[ ! -s "$scratch/out" ] || fail "printed something"
	[ "$(sed -n '$p' "$scratch/err")" = "Try '$name$own_help --help'" ] || fail "no hint to --help"
}

# wrong_numbers OPTION MAXIMUM MODE...: what is not a number in the range is refused.
wrong_numbers()
{
	option=$1 max=$2
	shift 2
	for value in '' ' ' x 1x 0x1 1.5 1e3 ' 1' '1 ' +1 -1 -- "${max}0" 99999999999999999999999; do
		usage "$option: '$value' is not a number" "$@" "$option=$value"
	done
	usage "option '$option' requires an argument" "$@" "$option"
}

# lost MODE...: output that cannot be written is an error, and never silent.
lost()
{
	run_to - 1 "$@"
	told 'standard output: Bad file descriptor'
	run_to -- 1 "$@"
	told 'standard output: Bad file descriptor'
	run_to /dev/full 1 "$@"
	told 'standard output: No space left on device'
}

# File descriptor 5 becomes a pipe that nobody reads.
nobody_reads()
{
	rm -f "$scratch/fifo"
	mkfifo "$scratch/fifo"
	exec 4<>"$scratch/fifo" 5>"$scratch/fifo" 4>&-
}

# broken_pipe MODE...: dies quietly of SIGPIPE; where that is ignored, it is an error.
broken_pipe()
{
	nobody_reads
	what="$name $* | (nobody)"
	echo "$what"
	status=0
	env --default-signal=PIPE "$mark=1" timeout 60 "$binary" "$@" >&5 2>"$scratch/err" || status=$?
	[ "$status" -eq 141 ] || fail "exit status $status, not that of SIGPIPE"
	silent
	status=0
	env --ignore-signal=PIPE "$mark=1" timeout 60 "$binary" "$@" >&5 2>"$scratch/err" || status=$?
	[ "$status" -eq 1 ] || fail "SIGPIPE ignored: exit status $status, not 1"
	told 'standard output: Broken pipe'
	exec 5>&-
	await all_gone
}

# What every binary has: help_and_version MODE...; the first is the default.
help_and_version()
{
	run 0 --help
	silent
	printed "^Usage: $name " 1 || fail "no usage line"
	for mode; do
		printed "^  $mode  *[^ ]" 1 || fail "--help does not list $mode"
	done
	run 0 --version
	silent
	printed "^$name (libipckit) [0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\$" 1 || fail "no version"
	lost --help
	lost --version
	usage "there is no mode 'nonesuch'" nonesuch
	usage "there is no mode ''" ''
	usage "unrecognized option '--nonesuch'" --nonesuch
	usage "invalid option -- 'q'" -q
	usage "unexpected argument 'more'" "$1" more
	usage "unexpected argument '$1'" "$1" --time "$1"
	usage "option '--time' doesn't allow an argument" --time=1
}

# timed BY MODE...: --time tells a time on standard error.
timed()
{
	by=$1
	shift
	run 0 "$@" --time
	grep -qx "time: [0-9]*\.[0-9]\{6\} s by $by" "$scratch/err" || fail "no time by $by"
}

# few_files NUMBER MESSAGE MODE...: no room for so many open files is an error.
# (A leak checker would want to open some, too.)
few_files()
{
	files=$1 message=$2
	shift 2
	what="ulimit -n $files; $name $*"
	echo "$what"
	status=0
	(exec >"$scratch/out" 2>"$scratch/err" && ulimit -n "$files" &&
		exec env "$mark=1" ASAN_OPTIONS=detect_leaks=0 "$binary" "$@") || status=$?
	[ "$status" -eq 1 ] || fail "exit status $status, not 1"
	# A build that counts its coverage cannot write it, and says so.
	sed '/^profiling:/d' "$scratch/err" >"$scratch/told" && mv "$scratch/told" "$scratch/err"
	told "$message: Too many open files"
	await all_gone
}

finish()
{
	[ "$failures" -eq 0 ] || {
		echo "$failures failures"
		exit 1
	}
	exit 0
}
