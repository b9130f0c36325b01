# Two searches while one indexes: both answer, from a state that is whole.
. tests/cli/lib.sh
index_clips door-opens-a door-opens-b
cp "$clips"/*.mp4 "$work/in/"
"$CLAVERDB" index --quiet --length 400ms --stride 100ms --force "$work/in" >"$work/index.out" 2>"$work/index.err" &
indexing=$!
# searches NAME: searches until the indexing ends, and counts what went wrong.
searches() {
    count=0 bad=0
    while :; do
        kill -0 $indexing 2>/dev/null && running=1 || running=0
        "$CLAVERDB" search --quiet --json -n 2 --like "$clips/door-opens-a.mp4" >"$work/$1.out" 2>>"$work/$1.err"
        status=$?
        count=$((count + 1))
        { [ $status -eq 0 ] && [ "$(jq -rs '.[-1].type' "$work/$1.out")" = summary ]; } || bad=$((bad + 1))
        [ $running -eq 1 ] || break
    done
    echo "$count $bad" >"$work/$1.count"
}
searches one &
first=$!
searches two &
second=$!
wait $indexing
same indexing $? 0
wait $first $second
for name in one two; do
    same "search_$name" "$(cut -d' ' -f2 "$work/$name.count")" 0
    same "search_${name}_quiet" "$(cat "$work/$name.err")" ""
    [ "$(cut -d' ' -f1 "$work/$name.count")" -ge 2 ] && ok "search_${name}_many" || fail "search_${name}_many" "only $(cat "$work/$name.count")"
done
expect check 0 "$CLAVERDB" check
expect all 0 "$CLAVERDB" ls --json
json all_indexed 'map(.status)|unique|join(" ")' indexed
finish
