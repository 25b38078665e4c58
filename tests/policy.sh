# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Read by the policy tests.  They run in the build directory; $srcdir is the
# source tree, with or without git.

set -u
LC_ALL=C
export LC_ALL
: "${srcdir:=.}"
failures=0

# The messages of a policy test name the place and the rule.
fail()
{
	echo "FAIL: $*"
	failures=$((failures + 1))
}

finish()
{
	if [ "$failures" -gt 0 ]; then
		echo "$failures violations"
		exit 1
	fi
	exit 0
}

# need TOOL [PACKAGE]
need()
{
	command -v "$1" >/dev/null && return
	echo "FAIL: $1 is not installed (Debian: apt-get install ${2:-$1})"
	exit 1
}

# A directory of this test's own, gone when it ends.
make_scratch()
{
	scratch=$(mktemp -d) || exit 1
	trap 'rm -rf "$scratch"' EXIT
	trap 'exit 1' HUP INT TERM
}

# The source files among and below the given paths: by git where there is git,
# else by name.
sources()
{
	(
		cd "$srcdir" || exit 1
		if [ ! -e .git ] || ! git ls-files -- "$@" 2>/dev/null; then
			for path in "$@"; do
				[ ! -e "$path" ] || find "$path" -type f \( -path "$path" -o -name '*.[ch137]' -o \
					-name '*.sh' -o -name '*.py' -o -name '*.in' -o -name '*.map' -o -name '*.m4' \)
			done
		fi
	) | while IFS= read -r path; do
		[ ! -f "$srcdir/$path" ] || printf '%s\n' "$path"
	done
}

# C sources among them.
c_sources()
{
	sources "$@" | grep '\.[ch]$'
}

# C files without comments, strings and character constants; lines stay.
strip_c()
{
	awk '
	FNR == 1 { comment = 0 }
	{
		line = $0
		out = ""
		while (line != "") {
			if (comment) {
				i = index(line, "*/")
				if (!i)
					break
				line = substr(line, i + 2)
				comment = 0
			} else if (match(line, /\/\*|\/\/|"|\047/)) {
				out = out substr(line, 1, RSTART - 1)
				mark = substr(line, RSTART, RLENGTH)
				line = substr(line, RSTART + RLENGTH)
				if (mark == "/*") {
					comment = 1
					out = out " "
				} else if (mark == "//") {
					line = ""
				} else {
					while (line != "") {
						c = substr(line, 1, 1)
						line = substr(line, c == "\\" ? 3 : 2)
						if (c == mark)
							break
					}
					out = out mark mark
				}
			} else {
				out = out line
				line = ""
			}
		}
		print where ? FILENAME ":" FNR ":" out : out
	}' "$@"
}

# The same with FILE:LINE: before each line.
strip_c_named()
{
	strip_c where=1 "$@"
}

# The names of the calls that the public headers declare.
public_calls()
{
	strip_c "$srcdir"/lib/ipckit.h "$srcdir"/lib/ipckit/*.h | grep -v '^[[:space:]]*#' | tr '\n\t' '  ' | tr ';{}' '[\n*]' | awk '
	sub(/.*IPCK_API/, "") && match($0, /ipck_[a-z0-9_]+ *\(/) {
		name = substr($0, RSTART, RLENGTH)
		sub(/ *\(/, "", name)
		print name
	}' | sort
}
