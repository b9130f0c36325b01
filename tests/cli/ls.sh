# Listing videos and segments.
. tests/cli/lib.sh
index_clips door-opens-a stone-falls-a
printf 'broken' >"$work/in/broken.mp4"
cp "$work/in/door-opens-a.mp4" "$work/in/gone.mp4"
printf x >>"$work/in/gone.mp4" # other content, so no move
"$CLAVERDB" index --quiet "$work/in" >/dev/null 2>&1
rm "$work/in/gone.mp4"
"$CLAVERDB" index --quiet "$work/in" >/dev/null 2>&1

expect all 0 "$CLAVERDB" ls
out_has all_heading '^STATUS +DURATION +SIZE +CODEC +SEGMENTS +PATH$'
out_has all_row '^indexed +0:04\.000 +320x240 +h264 +[0-9]+ +/.*/door-opens-a\.mp4$'
same all_rows "$(wc -l <"$work/out" | tr -d ' ')" 5
expect json 0 "$CLAVERDB" ls --json
json json_types 'map(.type)|unique|join(" ")' video
json json_in_order 'map(.path)|. == sort' true
json json_states 'map(.status)|sort|join(" ")' 'failed indexed indexed missing'
json json_facts '.[]|select(.path|endswith("stone-falls-a.mp4"))|"\(.width) \(.height) \(.duration_ms) \(.has_audio) \(.codec) \(.frame_rate) \(.digest|length)"' '320 240 4000 false h264 25 64'
expect failed 0 "$CLAVERDB" ls --failed
out_has failed_row '^failed +/.*/broken\.mp4 +.{10}'
same failed_rows "$(wc -l <"$work/out" | tr -d ' ')" 2
expect missing 0 "$CLAVERDB" ls --missing --json
json missing_one 'map(.path|split("/")[-1])|join(" ")' gone.mp4
expect both 0 "$CLAVERDB" ls --missing --failed --json
json both_two 'length' 2
expect glob 0 "$CLAVERDB" ls --json '*/stone-*'
json glob_one 'map(.path|split("/")[-1])|join(" ")' stone-falls-a.mp4
expect folder 0 "$CLAVERDB" ls --json "$work/in"
json folder_all length 4
expect bare_name 0 "$CLAVERDB" ls --json stone-falls-a.mp4
json bare_name_one length 1
expect none 1 "$CLAVERDB" ls '*/nowhere/*'
same none_prints_nothing "$(cat "$work/out" "$work/err")" ""

expect segments 0 "$CLAVERDB" ls --segments
out_has segments_heading '^ *START +END +SHOT +NORM +PATH$'
out_has segments_row '^ *0:00\.000 +0:0[0-9.]+ +0 +[01]\.[0-9]{4} +/'
expect vectors 0 "$CLAVERDB" ls --segments --vectors "$work/in/stone-falls-a.mp4"
out_has vectors_row ' [0-9a-f]{16} +/'
expect vectors_json 0 "$CLAVERDB" ls --segments --vectors --json
json vectors_json_unit 'map((.vector|map(. * .)|add) - 1 | . < 0.01 and . > -0.01)|all' true
cp "$work/out" "$work/before"

# The same footage gives the same catalog, vector by vector.
"$CLAVERDB" index --quiet --db "$work/db2" "$work/in" >/dev/null 2>&1
"$CLAVERDB" ls --db "$work/db2" --segments --vectors --json >"$work/after"
facts='select(.path|test("gone")|not)|[.path,.start_ticks,.end_ticks,.shot,.norm,.vector_digest]'
same same_catalog "$(jq -c "$facts" "$work/after")" "$(jq -c "$facts" "$work/before")"

expect unknown_model 2 "$CLAVERDB" ls --model tests/cli/ls.sh
err_has unknown_model_says 'was indexed with the model'
finish
