#!/bin/sh
# SPDX-License-Identifier: MIT
# ipc-daemon: who waits for whom, also when the parent is killed.
. "${srcdir:-.}/tests/bin.sh"
tool ipc-daemon

for mode in '' plain; do
	# shellcheck disable=SC2086 # no argument at all for the default mode
	run 0 $mode --pause-ms 1
	silent
	same <<\END
end
work start: TIME
work end: TIME
END
done

# The pause is an hour: it ends now because the worker is ended.
run 0 daemon --pause-ms 3600000
silent
same <<\END
end
END

run 0 joined --pause-ms 1
silent
same <<\END
work start: TIME
work end: TIME
end
END

# A parent that is killed while its daemon works takes it along, whatever the signal.
for signal in KILL TERM INT; do
	start joined --pause-ms 3600000
	await printed '^work start: '
	kill -$signal "$child"
	wait "$child" 2>/dev/null
	await all_gone
	! printed 'end' || fail "SIG$signal: something went on after it"
done

# A child that is no daemon goes on without its parent.
start plain --pause-ms 1000
await printed '^work start: '
kill -9 "$child"
wait "$child" 2>/dev/null
await printed '^work end: '
await all_gone

# A daemon that is killed is told by the parent that joins it.
start joined --pause-ms 3600000
await printed '^work start: '
worker=$(marked | grep -vx "$child")
kill -9 "$worker"
exit_status 1
told 'Process-1 was killed: Killed'
printed '^end$' 1 || fail "the parent did not come to its end"
await all_gone

help_and_version plain daemon joined
for mode in plain daemon joined; do
	timed processes $mode --pause-ms 0
	usage "unrecognized option '--twice'" $mode --twice
	usage "the mode '$mode' has no option --threads" $mode --threads
	usage "the mode '$mode' has no option --seed" $mode --seed 1
	lost $mode --pause-ms 0
	broken_pipe $mode --pause-ms 0
	few_files 4 'cannot make a pipe' $mode
	few_files 5 'cannot start a process' $mode
done
wrong_numbers --pause-ms 3600000 plain

finish
