# What every CLI test script starts with: `. tests/cli/lib.sh`. Each works in a scratch directory
# of its own ($work), with its own data home, and calls "$CLAVERDB".
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_DATA_HOME="$work/data" XDG_CACHE_HOME="$work/cache" HOME="$work"
for variable in $(env | sed -n 's/^\(CLAVERDB_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
unset NO_COLOR GOMP_SPINCOUNT
# The same device everywhere, which opens fast; doctor.sh looks at others.
export CLAVERDB_DEVICE=cpu
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
out_lacks() {
    if grep -qE -- "$2" "$work/out"; then fail "$1" "stdout has /$2/: $(head -c 600 "$work/out")"; else ok "$1"; fi
}
err_lacks() {
    if grep -qE -- "$2" "$work/err"; then fail "$1" "stderr has /$2/: $(head -c 600 "$work/err")"; else ok "$1"; fi
}
# json NAME FILTER WANT: what jq makes of all lines of the last output, as one array.
json() {
    got=$(jq -rs "$2" "$work/out" 2>&1)
    if [ "$got" = "$3" ]; then ok "$1"; else fail "$1" "$2 is '$got', want '$3': $(head -c 600 "$work/out")"; fi
}
# same NAME GOT WANT
same() {
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2', want '$3'"; fi
}
# make_clips: sets $clips to a folder of twelve short clips, two alike of each scene; filmed once a
# build. Do not change what is in it.
make_clips() {
    clips=$CLV_BUILD/test-clips
    [ ! -d "$clips" ] || return 0
    scratch=$(mktemp -d "$CLV_BUILD/test-clips.XXXXXX")
    "$CLV_BUILD/tests/tools/film" "$scratch" 2>"$work/err" ||
        fail make_clips "$(head -c 600 "$work/err")"
    mv -T "$scratch" "$clips" 2>/dev/null
    rm -rf "$scratch"
}
# index_clips NAME…: copies these clips (without ".mp4") into $work/in, and indexes the folder into
# $work/db with the built-in model.
index_clips() {
    make_clips
    mkdir -p "$work/in"
    for clip in "$@"; do cp "$clips/$clip.mp4" "$work/in/"; done
    export CLAVERDB_DB="$work/db"
    "$CLAVERDB" index --quiet "$work/in" >"$work/out" 2>"$work/err" ||
        fail index_clips "exit status $?: $(head -c 600 "$work/err")"
}

# finish: the script's exit status.
finish() { [ "$failures" -eq 0 ]; exit $?; }
