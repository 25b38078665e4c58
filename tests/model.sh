#!/bin/sh
# SPDX-License-Identifier: MIT
# Protocols as models (tests/model/*.pml), all of their states: what holds must pass, and
# each mutant that is tried must be found.  IPCK_LONG=1: all of them, some minutes and up to 1.5 GB.
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
	# -O0: most of them, and all mutants, take longer to compile than to run.
	spin -a "$@" "$models/$model.pml" >log 2>&1 && gcc -w "${optimize:--O0}" -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c >>log 2>&1 || {
		cat log
		fail "not built: $model $*"
		return 1
	}
	begun=$(date +%s)
	./pan -m100000 "-w${table:-18}" -n >out 2>&1
	awk -v what="$model $*" -v seconds=$(($(date +%s) - begun)) '
	/ states, stored/ { states = $1 }
	/depth reached/ { depth = $(NF - 2) + 0; errors = $NF }
	END { printf "%s states, depth %s, %s s, %s errors: %s\n", states, depth, seconds, errors, what }' out
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
	optimize=-O0 search "$@" || return
	grep -q '^pan:1: assertion violated' out || fail "not found: $model $*"
}

# one_found MUTANT...: one of them, each time another one; with IPCK_LONG all.  Its options are one word here.
one_found()
{
	[ -n "${IPCK_LONG-}" ] || {
		shift $(($$ % $#))
		set -- "$1"
	}
	for mutant; do
		# shellcheck disable=SC2086
		found $mutant
	done
}

model=pipe
holds -DSECOND_SENDS=0 -DPOLLERS=1
holds -DSECOND_SENDS=0 -DPOLLERS=1 -DASKS
one_found '-DSECOND_SENDS=0 -DNO_SECOND_TEST' '-DSECOND_SENDS=0 -DCOMMIT_FIRST'

model=evcount
holds -DONE
holds -DONE -DWAITERS=1 -DCHANGES=1 -DKILLS=1
one_found -DNO_SECOND_TEST '-DONE -DPREPARE_APART' '-DONE -DLOWER_UNSEEN'

model=condition
holds
one_found -DSLEEP_UNSAID '-DKILLS=1 -DNO_LOOK'

model=barrier
holds -DPARTIES=3 -DKILLS=1
holds -DPROCESSES=2 -DRESETS=1
holds -DPARTIES=1 -DPLACES=1 -DWAITS=1 -DKILLS=1
one_found '-DPROCESSES=2 -DNO_SECOND_TEST' '-DPROCESSES=2 -DKILLS=1 -DNO_LOOK' \
	'-DPROCESSES=2 -DRESETS=1 -DBEGIN_UNLEFT' '-DPARTIES=1 -DPLACES=1 -DWAITS=1 -DKILLS=1 -DREAD_UNPROVEN'

model=queue
holds -DPEEKERS=1 -DKILLS=1
holds -DCONSUMERS=0 -DJOIN=1 -DSHUT=2 -DKILLS=1
one_found -DCOMMIT_FIRST '-DPEEKERS=1 -DCONSUMERS=2 -DKILLS=1 -DUNNOTED' \
	'-DCONSUMERS=0 -DRESERVES=1 -DPRODUCERS=2 -DRING=1 -DVOID_STAYS' \
	'-DCONSUMERS=0 -DJOIN=1 -DSHUT=2 -DKILLS=1 -DCLOSED_UNSEEN'

model=queue_bell
holds -DSENDERS=1 -DSENDS=2 -DKILLS=1
one_found -DNO_SECOND_LOOK -DALL_AT_ONCE

[ -n "${IPCK_LONG-}" ] || finish
optimize=-O1
table=24

model=pipe
holds
holds -DARMED=true
holds -DSECOND_SENDS=0
holds -DPOLLERS=1
holds -DKILL_WRITER=1
holds -DKILL_WRITER=1 -DPOLLERS=1
holds -DKILL_WRITER=1 -DSECOND_SENDS=2
found -DSECOND_SENDS=0 -DLOOK_BEFORE_GIVE
found -DSECOND_SENDS=0 -DLOOK_BEFORE_GIVE -DPOLLERS=1
found -DSECOND_SENDS=0 -DNO_SECOND_LOOK -DPOLLERS=1
found -DTAKE_UNPROVEN
found -DSLEEP_UNSAID
found -DNO_ZERO -DFIRST_SENDS=2 -DSECOND_SENDS=2
# Without a look before each datagram is taken out, who only asks (ipck_pipe_poll)
# takes the bell away from a message that it leaves there.
found -DSECOND_SENDS=0 -DPOLLERS=1 -DASKS -DLOOK_LATE
found -DPOLLERS=1 -DNOT_ODD
found -DKILL_WRITER=1 -DTAIL_LAGS
found -DKILL_WRITER=1 -DPOLLERS=1 -DRUNG_FIRST
found -DKILL_READER=1 -DSECOND_SENDS=0 -DREADERS=2 -DPOLLERS=2 -DLOOK_LATE

model=evcount
holds
holds -DONE -DTIMED
holds -DKILLS=1
holds -DONE -DKILLS=1
holds -DKILLS=1 -DNOTIFIERS=2 -DCHANGES=1
holds -DONE -DKILLS=1 -DNOTIFIERS=2 -DCHANGES=1
holds -DONE -DWAITERS=1 -DNOTIFIERS=2 -DWAITS=2 -DCHANGES=1 -DKILLS=1
found -DWAKE_FIRST
found -DONE -DLOOK_FIRST
found -DONE -DCANCEL_ALWAYS
found -DONE -DLOWER_TO_NONE
# In any other order a wake may go to the younger of two sleepers, who then gives up.
found -DONE -DNOTIFIERS=2 -DCHANGES=1 -DWAITERS=3 -DTIMED -DANY_ORDER

model=condition
holds -DKILLS=1
holds -DKILLS=2
holds -DKILLS=1 -DAT_ONCE=9
holds -DKILLS=2 -DAT_ONCE=9
holds -DKILLS=1 -DCAPACITY=1
holds -DAT_ONCE=9 -DTIMED -DNOTIFIES=2 -DWAITS=2
found -DSLEEP_BLIND
found -DBACK_UNPROVEN
found -DKILLS=1 -DBURY_FORGETS
found -DKILLS=1 -DNOT_HANDED_ON
found -DKILLS=1 -DUNSETTLED
found -DKILLS=1 -DGRANTED_UNSETTLED
found -DKILLS=1 -DPAY_TWICE
found -DKILLS=1 -DAT_ONCE=9 -DNO_DEBT
found -DKILLS=1 -DTO_LATER
found -DKILLS=2 -DEND_DEBT_FIRST

model=barrier
holds -DKILLS=1
holds -DKILLS=1 -DEARLY
holds -DKILLS=2
holds -DKILLS=2 -DACTION
holds -DPARTIES=3 -DKILLS=2
holds -DPARTIES=3 -DKILLS=1 -DACTION
holds -DPLACES=2 -DKILLS=1
holds -DPLACES=2 -DKILLS=2
for parties in 2 3; do
	holds -DPARTIES=$parties -DKILLS=1 -DRESETS=1
	holds -DPARTIES=$parties -DKILLS=1 -DABORTS=1
	holds -DPARTIES=$parties -DKILLS=1 -DTIMED=1
	holds -DPARTIES=$parties -DKILLS=1 -DTIMED=2
done
holds -DPROCESSES=2 -DRESETS=1 -DMIXED
holds -DPROCESSES=2 -DRESETS=1 -DABORTS=1 -DKILLS=1
holds -DPROCESSES=2 -DRESETS=1 -DTIMED=2 -DKILLS=1
holds -DPROCESSES=2 -DRESETS=1 -DACTION -DKILLS=1
holds -DPROCESSES=2 -DRESETS=1 -DKILLS=1 -DEARLY
found -DPROCESSES=2 -DRELEASE_UNTOLD
found -DPROCESSES=2 -DKILLS=1 -DCOUNT_FIRST
found -DPROCESSES=2 -DRESETS=1 -DLEAVE_UNTOLD
found -DPROCESSES=2 -DRESETS=1 -DTELL_FIRST
found -DPROCESSES=2 -DRESETS=1 -DRESET_AT_ONCE
found -DPROCESSES=2 -DRESETS=1 -DMIXED -DOWNER_FIRST
found -DPROCESSES=2 -DRESETS=1 -DKILLS=1 -DEARLY -DRESET_IF_ARRIVED
found -DPROCESSES=2 -DPARTIES=1 -DPLACES=1 -DWAITS=1 -DACTION -DKILLS=1 -DFORGET
found -DPROCESSES=2 -DPARTIES=1 -DWAITS=1 -DACTION -DKILLS=1 -DACTION_UNWATCHED

model=queue
holds -DKILLS=1
holds -DRESERVES=1 -DKILLS=1
holds -DPRODUCERS=2 -DCONSUMERS=2
holds -DPRODUCERS=2 -DRESERVES=1 -DRING=1 -DKILLS=1
holds -DPUTS=2 -DRESERVES=1 -DKILLS=1
holds -DPUTS=3 -DRESERVES=1 -DCONSUMERS=2 -DKEEPS
holds -DJOIN=1 -DPEEKERS=1 -DLEASES=1 -DKILLS=1
holds -DJOIN=1 -DRESERVES=1 -DKILLS=1
holds -DSHUT=1 -DKILLS=1
found -DNO_SECOND_TEST
found -DPUTS=3 -DRESERVES=1 -DCONSUMERS=2 -DKEEPS -DREAD_ONCE
found -DPUTS=3 -DPEEKERS=1 -DHEAD_PASSES
found -DPEEKERS=1 -DCONSUMERS=2 -DKILLS=1 -DBURY_LIVE
found -DPEEKERS=1 -DCONSUMERS=2 -DKILLS=1 -DNO_LOOK
found -DRING=1 -DPUTS=2 -DROOM_UNTOLD

model=queue_bell
holds
holds -DKILLS=1
holds -DPOLLERS=2 -DSENDERS=1 -DSENDS=2 -DKILLS=1
found -DLOOK_FIRST
found -DPOLLERS=2 -DNOT_ODD
found -DKILLS=1 -DRUNG_FIRST
finish
