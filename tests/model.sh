#!/bin/sh
# SPDX-License-Identifier: MIT
# The pipe's protocol as a model (tests/model/pipe.pml), all of its states: what holds must
# pass, and each mutant must be found.  IPCK_LONG=1: the large ones too, some minutes.
. "${srcdir:-.}/tests/policy.sh"

for tool in spin gcc; do
	command -v $tool >/dev/null || {
		echo "SKIP: $tool is not installed (Debian: apt-get install $tool)"
		exit 77
	}
done
model=$(cd "$srcdir" && pwd)/tests/model/pipe.pml
make_scratch
cd "$scratch" || exit 1

# search OPTION...: the verifier's report is in ./out.
search()
{
	rm -f pan* ./*.trail
	# -O0: most of them take longer to compile than to run.
	spin -a "$@" "$model" >log 2>&1 && gcc -w "${optimize:--O0}" -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >>log 2>&1 || {
		cat log
		fail "not built: $*"
		return 1
	}
	./pan -m100000 -w22 -n >out 2>&1
	awk -v what="$*" '
	/ states, stored/ { states = $1 }
	/depth reached/ { depth = $(NF - 2) + 0; errors = $NF }
	END { printf "%s states, depth %s, %s errors: %s\n", states, depth, errors, what }' out
}

holds()
{
	search "$@" || return
	grep -q 'errors: 0$' out || fail "does not hold: $* ($(grep '^pan:1' out))"
	if grep -qE 'max search depth too small|out of memory|aborted|Search not completed' out; then
		fail "not all states: $*"
	fi
}

# A mutant fails by an assertion, not by its size.
found()
{
	search "$@" || return
	grep -q '^pan:1: assertion violated' out || fail "not found: $*"
}

holds -DSECOND_SENDS=0
holds -DSECOND_SENDS=0 -DPOLLERS=1
found -DSECOND_SENDS=0 -DNO_SECOND_TEST
found -DSECOND_SENDS=0 -DLOOK_BEFORE_GIVE
found -DSECOND_SENDS=0 -DLOOK_BEFORE_GIVE -DPOLLERS=1
found -DSECOND_SENDS=0 -DCOMMIT_FIRST
found -DSECOND_SENDS=0 -DNO_SECOND_LOOK -DPOLLERS=1
found -DTAKE_UNPROVEN
found -DSLEEP_UNSAID
found -DNO_ZERO -DFIRST_SENDS=2 -DSECOND_SENDS=2
# Without a look before each datagram is taken out, who only asks (ipck_pipe_poll)
# takes the bell away from a message that it leaves there.
holds -DSECOND_SENDS=0 -DPOLLERS=1 -DASKS
found -DSECOND_SENDS=0 -DPOLLERS=1 -DASKS -DLOOK_LATE
found -DPOLLERS=1 -DNOT_ODD

[ -n "${IPCK_LONG-}" ] || finish
optimize=-O2
holds
holds -DARMED=true
holds -DPOLLERS=1
holds -DKILL_WRITER=1
holds -DKILL_WRITER=1 -DPOLLERS=1
holds -DKILL_WRITER=1 -DSECOND_SENDS=2
found -DKILL_WRITER=1 -DTAIL_LAGS
found -DKILL_WRITER=1 -DPOLLERS=1 -DRUNG_FIRST
found -DKILL_READER=1 -DSECOND_SENDS=0 -DREADERS=2 -DPOLLERS=2 -DLOOK_LATE
finish
