# What every CLI test script starts with: `. tests/cli/lib.sh`. Each works in a scratch directory
# of its own ($work), with its own data home, and calls "$CLAVERDB".
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_DATA_HOME="$work/data" XDG_CACHE_HOME="$work/cache" HOME="$work"
unset CLAVERDB_DB CLAVERDB_MODEL 2>/dev/null || true
failures=0

# ok NAME / fail NAME TEXT / skip NAME REASON
ok() { echo "ok $1"; }
fail() {
    echo "FAIL $1: $2"
    failures=$((failures + 1))
}
skip() { echo "SKIP $1: $2"; }

# expect NAME STATUS COMMAND…: runs it, keeps $work/out and $work/err, checks the exit status.
expect() {
    name=$1 want=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    if [ "$got" -ne "$want" ]; then
        fail "$name" "exit status $got, want $want; stderr: $(head -c 600 "$work/err")"
        return 1
    fi
    ok "$name"
}
# out_has NAME PATTERN / err_has NAME PATTERN: extended regular expressions on the last output.
out_has() {
    if grep -qE -- "$2" "$work/out"; then ok "$1"; else fail "$1" "stdout lacks /$2/: $(head -c 600 "$work/out")"; fi
}
err_has() {
    if grep -qE -- "$2" "$work/err"; then ok "$1"; else fail "$1" "stderr lacks /$2/: $(head -c 600 "$work/err")"; fi
}
# finish: the script's exit status.
finish() { [ "$failures" -eq 0 ]; exit $?; }
