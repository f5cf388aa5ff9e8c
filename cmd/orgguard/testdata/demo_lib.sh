# What the demos share; they read it with ".": a folder of their own, and a way to show
# a command and hold it to its exit code.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT INT TERM
cd "$dir" || exit 1

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n# %s\n' "$*"; }

# run WANT COMMAND...: shows the command, runs it, and holds it to its exit code.
run() {
	want=$1
	shift
	printf '$ %s\n' "$*"
	"$@"
	got=$?
	if [ "$got" -ne "$want" ]; then
		echo "demo: exit code $got, expected $want" >&2
		exit 1
	fi
	[ "$got" -eq 0 ] || echo "(exit code $got)"
}
