# Ctrl-C and kill during index: 130, nothing half-done, and the next run goes on to the same catalog.
. tests/cli/lib.sh
make_clips
export CLAVERDB_DB="$work/db"
facts() { "$CLAVERDB" ls --db "$1" --segments --vectors --json | jq -c '[.path,.start_ticks,.end_ticks,.shot,.norm,.vector_digest]'; }
# Fine segments, so that it takes a while.
flags='--quiet --length 400ms --stride 50ms'
"$CLAVERDB" index $flags --db "$work/whole" "$clips" >/dev/null
facts "$work/whole" >"$work/want"
[ -s "$work/want" ] && ok whole || fail whole 'nothing was indexed'

# start: the process itself, without a shell between.
start() {
    "$CLAVERDB" index $flags "$clips" >"$work/out" 2>"$work/err" &
    process=$!
}
# Waits until something is in the catalog, so that the signal hits amid the work.
wait_for_work() {
    tries=0
    while [ $tries -lt 400 ] && kill -0 $process 2>/dev/null; do
        "$CLAVERDB" ls --quiet >/dev/null 2>&1 && return
        sleep 0.02
        tries=$((tries + 1))
    done
}
for signal in INT TERM; do
    rm -rf "$work/db"
    start
    wait_for_work
    # A shell without job control starts background jobs with SIGINT ignored; ours is caught anew.
    kill -s $signal $process
    wait $process
    status=$?
    if [ $status -eq 0 ]; then
        skip "interrupted_$signal" 'it was done before the signal'
    else
        same "interrupted_$signal" $status 130
        err_has "interrupted_${signal}_says" '^claverdb: indexing was stopped'
        out_has "interrupted_${signal}_sums" '^indexed [0-9]+ of 12 files'
    fi
    expect "interrupted_${signal}_check" 0 "$CLAVERDB" check
    expect "interrupted_${signal}_goes_on" 0 "$CLAVERDB" index $flags "$clips"
    same "interrupted_${signal}_same" "$(facts "$work/db" | cmp - "$work/want" 2>&1)" ""
done

# Killed outright, again and again.
rm -rf "$work/db"
kills=0
for pause in 0.05 0.1 0.15 0.2 0.3 0.4; do
    start
    sleep $pause
    kill -s KILL $process 2>/dev/null && kills=$((kills + 1))
    wait $process 2>/dev/null
done
[ $kills -gt 0 ] && ok killed || skip killed 'it was done each time'
expect killed_goes_on 0 "$CLAVERDB" index $flags "$clips"
expect killed_check 0 "$CLAVERDB" check
same killed_same "$(facts "$work/db" | cmp - "$work/want" 2>&1)" ""
finish
