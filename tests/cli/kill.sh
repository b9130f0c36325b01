# Killed at random moments, again and again: whatever moment it was, the catalog is sound, and
# finishing gives what an unbroken run gives.
#   CLV_KILLS=50         how often [10]
#   CLV_KILL_FOOTAGE=DIR what to index [generated clips, and a few real ones where there are any]
#   CLV_KILL_SEED=N      of the moments [the time]
. tests/cli/lib.sh
kills_wanted=${CLV_KILLS:-10}
seed=${CLV_KILL_SEED:-$(date +%s)}
footage=${CLV_KILL_FOOTAGE:-}
flags='--quiet'
if [ -z "$footage" ]; then
    make_clips
    footage=$work/footage
    mkdir "$footage"
    cp "$clips"/*.mp4 "$footage/"
    real=../shared/footage/cctv
    [ ! -d "$real" ] || for clip in $(ls -S -r "$real" | grep -E '\.(mp4|mpe?g|avi)$' | head -n 6); do
        cp "$real/$clip" "$footage/"
    done
    # Fine segments, so that there is much to write.
    flags='--quiet --length 800ms --stride 100ms'
fi
echo "seed $seed, $(find "$footage" -type f | wc -l) files"

# Everything but ids and the time of indexing.
facts() {
    "$CLAVERDB" ls --db "$1" --json --quiet | jq -c 'del(.id, .indexed_unix_ms)'
    "$CLAVERDB" ls --db "$1" --segments --vectors --json --quiet |
        jq -c '[.path,.start_ticks,.end_ticks,.shot,.norm,.vector_digest]'
}
begun=$(date +%s%N)
"$CLAVERDB" index $flags --db "$work/whole" "$footage" >"$work/out" 2>"$work/err"
whole_status=$?
whole_ms=$((($(date +%s%N) - begun) / 1000000))
facts "$work/whole" >"$work/want"
if [ $whole_status -eq 0 ] || [ $whole_status -eq 3 ] && [ "$(wc -l <"$work/want")" -gt 20 ]; then
    ok "whole ($whole_ms ms, $(wc -l <"$work/want") facts)"
else
    fail whole "exit status $whole_status, $(wc -l <"$work/want") facts: $(head -c 300 "$work/err")"
    finish
fi

# compare NAME: what is in $work/db is sound, and what the unbroken run gave.
compare() {
    "$CLAVERDB" check --db "$work/db" >"$work/out" 2>"$work/err" ||
        fail "$1_check" "exit status $?: $(head -c 600 "$work/out" "$work/err")"
    facts "$work/db" >"$work/got"
    cmp -s "$work/got" "$work/want" ||
        fail "$1_same" "$(diff "$work/got" "$work/want" | head -n 5 | cut -c1-300)"
}

# pause N: seconds, up to about four times what one kill's share of an unbroken run is.
pause() {
    awk -v n="$1" -v seed="$seed" -v ms="$whole_ms" -v kills="$kills_wanted" \
        'BEGIN { srand(seed + 1000 * n); top = 4 * ms / kills; if (top < 300) top = 300
                 printf "%.3f", rand() * top / 1000 }'
}
kills=0 finished=0 tries=0
while [ $kills -lt "$kills_wanted" ] && [ $tries -lt $((20 * kills_wanted)) ]; do
    tries=$((tries + 1))
    "$CLAVERDB" index $flags --db "$work/db" "$footage" >"$work/out" 2>"$work/err" &
    process=$!
    sleep "$(pause $tries)"
    if kill -s KILL $process 2>/dev/null; then
        wait $process 2>/dev/null
        status=$?
    else
        wait $process
        status=$?
    fi
    if [ $status -eq 137 ]; then
        kills=$((kills + 1))
        # Before the first file there may be no database yet.
        [ ! -e "$work/db/catalog.sqlite" ] ||
            "$CLAVERDB" check --db "$work/db" >"$work/out" 2>"$work/err" ||
            fail "check_after_kill_$kills" "exit status $?: $(head -c 600 "$work/out" "$work/err")"
    elif [ $status -eq $whole_status ]; then
        # It was done before the signal: from the start again.
        compare "finished_$tries"
        finished=$((finished + 1))
        rm -rf "$work/db"
    else
        fail "run_$tries" "exit status $status: $(head -c 600 "$work/err")"
        break
    fi
done
if [ $kills -eq "$kills_wanted" ]; then ok "killed $kills times ($finished finished between)"; else fail killed "only $kills times in $tries"; fi
expect finishes $whole_status "$CLAVERDB" index $flags --db "$work/db" "$footage"
before=$failures
compare end
[ $failures -eq "$before" ] && ok same_as_unbroken
expect again $whole_status "$CLAVERDB" index $flags --json --db "$work/db" "$footage"
json nothing_left '.[-1].indexed' 0
finish
