#!/bin/sh
# SPDX-License-Identifier: MIT
# The policy tests are tested first: each passes on a small clean tree, and
# finds each violation that is put into it.
. "${srcdir:-.}/tests/policy.sh"

: "${CC:=cc}"
make_scratch
tree=$scratch/tree

# A library of two layers, one program and one page, that keeps all rules.
clean_tree()
{
	rm -rf "$tree"
	mkdir -p "$tree/lib/ipckit" "$tree/lib/base" "$tree/lib/mem" "$tree/bin" "$tree/man" "$tree/tests"
	cp "$srcdir"/tests/*.sh "$tree/tests"
	cat >"$tree/lib/ipckit.h" <<-'END'
		/* SPDX-License-Identifier: MIT */
		#include <ipckit/defs.h>
	END
	cat >"$tree/lib/ipckit/defs.h" <<-'END'
		/* SPDX-License-Identifier: MIT */
		#ifndef IPCKIT_DEFS_H
		#define IPCKIT_DEFS_H
		#define IPCK_API __attribute__((visibility("default")))
		#ifdef __cplusplus
		extern "C" {
		#endif
		/* IPCK_API int ipck_not_a_call(void); */
		IPCK_API int ipck_one(int a,
		                      int (*b)(void));
		IPCK_API __attribute__((warn_unused_result)) const char *ipck_two(void);
		#ifdef __cplusplus
		}
		#endif
		#endif
	END
	cat >"$tree/lib/ipckit.map" <<-'END'
		/* SPDX-License-Identifier: MIT */
		IPCKIT_0.1 {
		global:
			ipck_one;
			ipck_two;
		local:
			*;
		};
	END
	cat >"$tree/lib/base/one.h" <<-'END'
		/* SPDX-License-Identifier: MIT */
		#include <ipckit/defs.h>
	END
	cat >"$tree/lib/base/one.c" <<-'END'
		/* SPDX-License-Identifier: MIT */
		#include "base/one.h"
		/* not volatile, not __sync_fetch, not SYS_futex */
		int hidden(void);
		int hidden(void)
		{
			return "volatile /* " != 0;
		}
		int ipck_one(int a, int (*b)(void))
		{
			return a + b() + hidden();
		}
	END
	cat >"$tree/lib/mem/two.c" <<-'END'
		/* SPDX-License-Identifier: MIT */
		#include "base/one.h"
		const char *ipck_two(void)
		{
			return "";
		}
	END
	cat >"$tree/bin/ipc-sample.c" <<-'END'
		/* SPDX-License-Identifier: MIT */
		#include <ipckit.h>
		#include <stdio.h>
		int main(void)
		{
			return ipck_one(0, 0);
		}
	END
	cat >"$tree/Makefile.am" <<-'END'
		# SPDX-License-Identifier: MIT
		pkginclude_HEADERS = lib/ipckit/defs.h
		dist_man_MANS = \
			man/ipc-sample.1 \
			man/ipck_one.3
	END
	page "$tree/man/ipc-sample.1" IPC-SAMPLE 1 >"$tree/man/ipc-sample.1"
	page "$tree/man/ipck_one.3" IPCK_ONE 3 >"$tree/man/ipck_one.3"
	cp "$srcdir/README.md" "$tree/README.md"
}

# page FILE TITLE SECTION
page()
{
	name=$(basename "$1" ".$3")
	printf '%s\n' '.\" SPDX-License-Identifier: MIT' '.Dd January 1, 2026' ".Dt $2 $3" .Os \
		'.Sh NAME' ".Nm $name" '.Nd a sample' '.Sh SYNOPSIS'
	if [ "$3" = 3 ]; then
		printf '%s\n' '.In ipckit.h' '.Ft int' '.Fo ipck_one' '.Fa "int a"' '.Fa "int (*b)(void)"' .Fc \
			'.Ft "const char *"' '.Fn ipck_two void' '.Sh DESCRIPTION' Nothing. '.Sh RETURN VALUES' Nothing.
	else
		printf '%s\n' .Nm '.Sh DESCRIPTION' Nothing. '.Sh EXIT STATUS' '.Ex -std'
	fi
	printf '%s\n' '.Sh EXAMPLES' '.Bd -literal' '#include <ipckit.h>' 'int main(void)' '{' \
		'	return *"\en" - ipck_two()[0];' '}' .Ed '.Sh ATTRIBUTES' None.
}

build_library()
{
	$CC -shared -fPIC -fvisibility=hidden -I"$tree/lib" ${1+"$@"} "$tree"/lib/*/*.c \
		-Wl,--version-script="$tree/lib/ipckit.map" -o "$scratch/lib.so" || fail "the sample library does not build"
}

# The policy tests as make check starts them, but on the sample tree.
policy()
{
	srcdir=$tree LIBRARY=$scratch/lib.so sh "$tree/tests/$1.sh" >"$scratch/output" 2>&1
}

passes()
{
	policy "$1" || { fail "$1.sh fails on a clean tree"; cat "$scratch/output"; }
}

# finds POLICY PATTERN: the policy test fails with that message; starts anew.
finds()
{
	if policy "$1"; then
		fail "$1.sh does not find: $2"
	elif ! grep -q "^FAIL: .*$2" "$scratch/output"; then
		fail "$1.sh fails, but does not say: $2"
		cat "$scratch/output"
	fi
	clean_tree
}

# repeat N TEXT
repeat()
{
	i=0
	while [ "$i" -lt "$1" ]; do
		echo "$2"
		i=$((i + 1))
	done
}

clean_tree
build_library
for name in headers layers man shape symbols; do
	passes "$name"
done

echo 'static inline pid_t f(void) { return 0; }' >>"$tree/lib/ipckit/defs.h"
finds headers 'defs.h> does not compile alone as C11'
echo 'static inline int *f(void *p) { return p; }' >>"$tree/lib/ipckit/defs.h"
finds headers 'defs.h> does not compile alone as C++17'
printf 'struct ipck_one {\n\tint a, b;\n};\n#define IPCK_ONE_INIT {.b = 1}\n' >>"$tree/lib/ipckit/defs.h"
finds headers 'defs.h> does not compile alone as C++17'
cp "$tree/lib/ipckit/defs.h" "$tree/lib/ipckit/more.h"
finds headers 'does not install <ipckit/more.h>'

echo '#include "mem/two.h"' >>"$tree/lib/base/one.c"
echo '/* */' >"$tree/lib/mem/two.h"
finds layers 'base/one.c: "mem/two.h" is of a later layer'
echo '#include "base/two.h"' >>"$tree/lib/base/one.c"
echo '#include "base/one.h"' >"$tree/lib/base/two.h"
finds layers 'in a circle'
mkdir "$tree/lib/extra"
echo '/* */' >"$tree/lib/extra/one.c"
finds layers 'lib/extra is not a layer'
printf '#include <stdio.h>\n#include "base/one.h"\n' >"$tree/lib/base/one.c"
finds layers 'own header is not included first'
echo '#include "one.h"' >>"$tree/lib/base/one.c"
finds layers 'without its folder'
echo '#include <ipckit.h>' >>"$tree/lib/base/one.c"
finds layers 'which is for users'
echo '/* */' >"$tree/lib/ipckit/pool.h"
echo '#include <ipckit/pool.h>' >>"$tree/lib/base/one.c"
finds layers '<ipckit/pool.h> is of a later layer'
echo '#include <ipckit/unheard.h>' >>"$tree/lib/base/one.c"
finds layers 'has no layer'
echo '#include "base/one.h"' >>"$tree/lib/ipckit/defs.h"
finds layers 'a public header includes the internal'
echo '#include <base/one.h>' >>"$tree/bin/ipc-sample.c"
finds layers '<base/one.h> is internal'
echo '#include "base/one.h"' >>"$tree/bin/ipc-sample.c"
finds layers 'is not a header of bin/'
echo '#include <ipckit/defs.h>' >>"$tree/bin/ipc-sample.c"
finds layers 'programs include <ipckit.h>'

{ printf 'int long_one(void)\n{\n'; repeat 79 ';'; echo '}'; } >>"$tree/lib/base/one.c"
finds shape 'function long_one has 81 lines'
repeat 500 '' >>"$tree/bin/ipc-sample.c"
finds shape 'lines, over 500'
printf '/*%130s*/\n' '' >>"$tree/lib/base/one.c"
finds shape '134 columns'
echo 'int x;' >"$tree/tests/check_x.c"
finds shape 'check_x.c: no SPDX tag'
echo '.Dd' >"$tree/man/ipck_one.3"
finds shape 'ipck_one.3: no SPDX tag'
printf '/* /%s/x */\n' home/user >>"$tree/lib/base/one.c"
finds shape "a path of somebody's machine"
echo 'volatile int x;' >>"$tree/lib/base/one.c"
finds shape 'volatile is no ordering'
echo 'void f(int *x) { __sync_synchronize(); __atomic_load_n(x, 0); }' >>"$tree/bin/ipc-sample.c"
finds shape 'ipc-sample.c:[0-9]*: atomic accesses'
echo '#include <stdatomic.h>' >>"$tree/lib/mem/two.c"
finds shape 'mem/two.c:[0-9]*: atomic accesses'
echo 'int f(void) { return SYS_futex; }' >>"$tree/lib/mem/two.c"
finds shape 'futex calls are in lib/base only'

sed -i '/ipck_two;/d' "$tree/lib/ipckit.map"
finds symbols 'ipck_two: declared in a public header, not in lib/ipckit.map'
sed -i 's/ipck_two;/ipck_two; ipck_zzz;/' "$tree/lib/ipckit.map"
sed -i 's/ ipck_zzz;/\n\tipck_zzz;/' "$tree/lib/ipckit.map"
finds symbols 'ipck_zzz: in lib/ipckit.map, declared in no'
sed -i 's/ipck_one(int a,/ipck_one(void); IPCK_API int ipck_three(int a,/' "$tree/lib/ipckit/defs.h"
finds symbols 'ipck_three: declared in a public header, not exported'
sed -i 's/ipck_one;/hidden;\n\tipck_one;/' "$tree/lib/ipckit.map"
build_library -fvisibility=default
finds symbols 'hidden: exported, declared in no'
build_library

sed -i 's/^IPCK_API int ipck_one/IPCK_API int ipck_zero(void);\n&/' "$tree/lib/ipckit/defs.h"
finds man 'ipck_zero has no .Fn or .Fo entry'
sed -i 's/^\.Fn ipck_two void/&\n.Ft int\n.Fn ipck_three void/' "$tree/man/ipck_one.3"
finds man 'ipck_three is described, but'
rm "$tree/man/ipc-sample.1"
finds man 'ipc-sample has no page'
sed -i 's/^\.Sh ATTRIBUTES/.Sh OTHER/' "$tree/man/ipck_one.3"
finds man 'ipck_one.3 has no section ATTRIBUTES'
sed -i 's/^None\./.It Bq Er EINVAL/' "$tree/man/ipck_one.3"
finds man 'ipck_one.3 has no section ERRORS'
sed -i 's/^\.Nd a sample/&\n.Xx/' "$tree/man/ipck_one.3"
finds man 'unknown macro'
sed -i '/ipck_one.3/d' "$tree/Makefile.am"
finds man 'ipck_one.3 is not installed'
sed -i 's/ipck_two()/ipck_too()/' "$tree/man/ipck_one.3"
finds man 'example-1.c does not build'
sed -i 's/int main(void)/int f(void)/' "$tree/man/ipck_one.3"
finds man 'no whole program'
finish
