# Full disks and closed pipes: what was not written is said, and databases stay whole.
. tests/cli/lib.sh
index_clips door-opens-a stone-falls-a

# full NAME ARGUMENT…: stdout has no room.
full() {
    name=$1
    shift
    "$CLAVERDB" "$@" >/dev/full 2>"$work/err"
    same "full_$name" $? 2
    err_has "full_${name}_says" '^claverdb: cannot write to standard output: No space left on device$'
}
full help help
full man help --man
full version --version
full ls ls
full ls_json ls --segments --vectors --json
full search search --quiet 'a door'
full status status
full index index --quiet "$work/in"
full forget forget --json '*/stone-*'
# A pipe whose reader has gone.
{ "$CLAVERDB" help --man 2>"$work/err"; echo $? >"$work/status"; } | true
sleep 0.2
same closed_pipe "$(cat "$work/status")" 2
err_has closed_pipe_says 'cannot write to standard output: Broken pipe'

# Files that may not grow: indexing fails with a sentence, what was there stays, and later it works.
"$CLAVERDB" index --quiet "$work/in" >/dev/null
"$CLAVERDB" ls --json --segments | jq -c '[.path,.start_ticks]' >"$work/before"
make_clips
cp "$clips"/*.mp4 "$work/in/"
limit=$(($(stat -c %s "$work/db/catalog.sqlite") / 512 + 8))
(
    ulimit -f "$limit"
    "$CLAVERDB" index --quiet --length 200ms --stride 100ms "$work/in" >"$work/out" 2>"$work/err"
)
same limited_status $? 2
err_has limited_says '^claverdb: '
expect limited_check 0 "$CLAVERDB" check
expect limited_ls 0 "$CLAVERDB" ls
expect unlimited 0 "$CLAVERDB" index --quiet --length 200ms --stride 100ms "$work/in"
expect unlimited_check 0 "$CLAVERDB" check
"$CLAVERDB" search --quiet -n 2 'a door' >/dev/null
(
    ulimit -f 8
    "$CLAVERDB" export --last -o "$work/clips" >"$work/out" 2>"$work/err"
)
status=$?
[ "$status" -eq 2 ] || [ "$status" -eq 3 ] && ok export_limited || fail export_limited "exit status $status"
err_has export_limited_says '^claverdb: '
same export_limited_leaves_no_part "$(ls "$work/clips" 2>/dev/null | grep -vcE '\.(mp4|csv|json|html)$')" 0
finish
