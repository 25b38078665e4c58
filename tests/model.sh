#!/bin/sh
# SPDX-License-Identifier: MIT
# Protocols as models (tests/model/*.pml), all of their states: what holds must pass, and
# each mutant must be found.  IPCK_LONG=1: the large ones too, some minutes.
. "${srcdir:-.}/tests/policy.sh"

for tool in spin gcc; do
	command -v $tool >/dev/null || {
		echo "SKIP: $tool is not installed (Debian: apt-get install $tool)"
		exit 77
	}
done
models=$(cd "$srcdir" && pwd)/tests/model
make_scratch
cd "$scratch" || exit 1

# search OPTION...: the verifier's report is in ./out.
search()
{
	rm -f pan* ./*.trail
	# -O0: most of them take longer to compile than to run.
	spin -a "$@" "$models/$model.pml" >log 2>&1 && gcc -w "${optimize:--O0}" -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >>log 2>&1 || {
		cat log
		fail "not built: $model $*"
		return 1
	}
	./pan -m100000 -w22 -n >out 2>&1
	awk -v what="$model $*" '
	/ states, stored/ { states = $1 }
	/depth reached/ { depth = $(NF - 2) + 0; errors = $NF }
	END { printf "%s states, depth %s, %s errors: %s\n", states, depth, errors, what }' out
}

holds()
{
	search "$@" || return
	grep -q 'errors: 0$' out || fail "does not hold: $model $* ($(grep '^pan:1' out))"
	if grep -qE 'max search depth too small|out of memory|aborted|Search not completed' out; then
		fail "not all states: $model $*"
	fi
}

# A mutant fails by an assertion, not by its size.
found()
{
	search "$@" || return
	grep -q '^pan:1: assertion violated' out || fail "not found: $model $*"
}

model=pipe
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

model=evcount
holds
holds -DONE
holds -DONE -DTIMED
found -DNO_SECOND_TEST
found -DWAKE_FIRST
found -DONE -DLOOK_FIRST
found -DONE -DPREPARE_APART
found -DONE -DCANCEL_ALWAYS
found -DONE -DLOWER_UNSEEN
found -DONE -DLOWER_TO_NONE

model=condition
holds
found -DSLEEP_BLIND
found -DSLEEP_UNSAID
found -DBACK_UNPROVEN
found -DKILLS=1 -DNO_LOOK
found -DKILLS=1 -DBURY_FORGETS
found -DKILLS=1 -DNOT_HANDED_ON
found -DKILLS=1 -DUNSETTLED
found -DKILLS=1 -DPAY_TWICE
found -DKILLS=1 -DAT_ONCE=9 -DNO_DEBT

model=barrier
holds -DPROCESSES=2
holds -DPROCESSES=2 -DKILLS=1
holds -DPROCESSES=2 -DPARTIES=1 -DWAITS=1 -DACTION -DKILLS=1
found -DPROCESSES=2 -DRELEASE_UNTOLD
found -DPROCESSES=2 -DNO_SECOND_TEST
found -DPROCESSES=2 -DKILLS=1 -DNO_LOOK
found -DPROCESSES=2 -DKILLS=1 -DCOUNT_FIRST
found -DPROCESSES=2 -DRESETS=1 -DBEGIN_UNLEFT
found -DPROCESSES=2 -DRESETS=1 -DLEAVE_UNTOLD
found -DPROCESSES=2 -DRESETS=1 -DTELL_FIRST
found -DPROCESSES=2 -DRESETS=1 -DRESET_AT_ONCE
found -DPROCESSES=2 -DRESETS=1 -DOWNER_FIRST
found -DPROCESSES=2 -DPARTIES=1 -DPLACES=1 -DWAITS=1 -DACTION -DKILLS=1 -DFORGET
found -DPROCESSES=2 -DPARTIES=1 -DWAITS=1 -DACTION -DKILLS=1 -DACTION_UNWATCHED
holds -DPARTIES=1 -DPLACES=1 -DKILLS=1 -DWAITS=1
found -DPARTIES=1 -DPLACES=1 -DKILLS=1 -DWAITS=1 -DREAD_UNPROVEN

[ -n "${IPCK_LONG-}" ] || finish
optimize=-O2
model=pipe
holds
holds -DARMED=true
holds -DPOLLERS=1
holds -DKILL_WRITER=1
holds -DKILL_WRITER=1 -DPOLLERS=1
holds -DKILL_WRITER=1 -DSECOND_SENDS=2
found -DKILL_WRITER=1 -DTAIL_LAGS
found -DKILL_WRITER=1 -DPOLLERS=1 -DRUNG_FIRST
found -DKILL_READER=1 -DSECOND_SENDS=0 -DREADERS=2 -DPOLLERS=2 -DLOOK_LATE

model=evcount
holds -DKILLS=1
holds -DONE -DKILLS=1
holds -DONE -DWAITERS=1 -DNOTIFIERS=2 -DWAITS=2 -DCHANGES=1 -DKILLS=1
# Two who notify and a wake that goes to the younger sleeper, who then gives up.
found -DONE -DNOTIFIERS=2 -DCHANGES=1 -DWAITERS=3 -DTIMED -DANY_ORDER

model=condition
holds -DKILLS=1
holds -DKILLS=1 -DAT_ONCE=9
holds -DKILLS=1 -DCAPACITY=1
holds -DAT_ONCE=9 -DTIMED -DNOTIFIES=2 -DWAITS=2

model=barrier
holds -DPROCESSES=2 -DRESETS=1
holds -DPROCESSES=2 -DRESETS=1 -DTIMED
holds -DPROCESSES=2 -DRESETS=1 -DABORTS=1
holds -DPROCESSES=2 -DACTION -DKILLS=1
holds
holds -DPARTIES=3
finish
