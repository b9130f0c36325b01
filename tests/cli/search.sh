# Searching by text and by example; filters; what is printed; what goes wrong.
. tests/cli/lib.sh
scenes='ball-bounces person-walks-right person-walks-left door-opens balloon-rises stone-falls'
index_clips $(for scene in $scenes; do echo "$scene-a" "$scene-b"; done)

# Each clip finds itself and its other take before all others.
for scene in $scenes; do
    expect "like_$scene" 0 "$CLAVERDB" search --quiet --json -n 2 --like "$work/in/$scene-a.mp4"
    json "like_${scene}_twin" '[.[]|select(.type=="moment").path|split("/")[-1]]|sort|join(" ")' "$scene-a.mp4 $scene-b.mp4"
done
json like_itself '.[0]|"\(.rank) \(.score > 0.999) \(.end_ms > .start_ms)"' '1 true true'
expect like_part 0 "$CLAVERDB" search --quiet --json -n 1 --like "$work/in/door-opens-a.mp4@0:02-0:04"
json like_part_scene '.[0].path|split("/")[-1]|startswith("door-opens")' true
expect like_alone 0 "$CLAVERDB" search -n 1 --like "$work/in/door-opens-a.mp4"
same like_alone_no_warning "$(cat "$work/err")" ""
expect like_instant 0 "$CLAVERDB" search --quiet --json -n 2 --like "$work/in/stone-falls-b.mp4@1.5"
json like_instant_scene '[.[]|select(.type=="moment").path|split("/")[-1]|startswith("stone-falls")]|all' true
ffmpeg -loglevel error -ss 2 -i "$clips/balloon-rises-a.mp4" -frames:v 1 "$work/still.png" </dev/null
expect like_picture 0 "$CLAVERDB" search --quiet --json -n 2 --like "$work/still.png"
json like_picture_scene '[.[]|select(.type=="moment").path|split("/")[-1]|startswith("balloon-rises")]|all' true
expect like_with_text 0 "$CLAVERDB" search --quiet --json -n 1 --like "$work/in/door-opens-a.mp4" --like-weight 1 'a ball'
json like_with_text_weight '.[0].path|split("/")[-1]|startswith("door-opens")' true

expect text 0 "$CLAVERDB" search 'a person opens a door'
same text_says_nothing_else "$(cat "$work/err")" ""
out_has text_table_heading '^ *# +ID +SCORE +PERCENTILE +TIME +PATH$'
out_has text_table_row '^ *1 +[0-9]+ +-?[01]\.[0-9]{3} +[0-9.]+ +0:00\.000-0:0[0-9.]+ +/'
cd "$work" || exit 1
expect text_relative 0 "$CLAVERDB" search --quiet 'a person opens a door'
out_has text_relative_path ' in/[a-z-]+-[ab]\.mp4$'
same text_rows "$(wc -l <"$work/out" | tr -d ' ')" 11
cd "$OLDPWD" || exit 1
expect text_json 0 "$CLAVERDB" search --quiet --json 'a person opens a door'
json text_json_schema '[.[0]|has("type","rank","id","path","start_ms","end_ms","peak_ms","score","percentile","segments","video_id")]|all' true
json text_json_summary '.[-1]|"\(.type) \(.query) \(.count) \(.cut_prompts) \(.builtin_model)"' 'summary a person opens a door 10 0 true'
json text_json_order '[.[]|select(.type=="moment").score]|. == (sort|reverse)' true
json text_json_ids '[.[]|select(.type=="moment").id]|unique|length' 10

# Filters are inside the search: as many as were asked for, where there are as many.
expect count 0 "$CLAVERDB" search --quiet --json -n 3 'a ball'
json count_three '.[-1].count' 3
expect in_glob 0 "$CLAVERDB" search --quiet --json -n 4 --in '*/person-*' 'a ball'
json in_glob_only '[.[]|select(.type=="moment").path|split("/")[-1]|startswith("person-")]|"\(length) \(all)"' '4 true'
expect in_folder 0 "$CLAVERDB" search --quiet --json -n 20 --in "$work/in" 'a ball'
json in_folder_all '.[-1].count' 12
expect in_file 0 "$CLAVERDB" search --quiet --json -n 20 --in "$work/in/door-opens-b.mp4" 'a ball'
json in_file_one '[.[]|select(.type=="moment").path|split("/")[-1]]|unique|join(" ")' door-opens-b.mp4
expect in_nothing 1 "$CLAVERDB" search --quiet --in '*/cellar/*' 'a ball'
same in_nothing_prints_nothing "$(cat "$work/out" "$work/err")" ""
expect min_score_none 1 "$CLAVERDB" search --min-score 1 'a ball'
err_has min_score_none_says 'nothing found among [0-9]+ segments'
expect min_score_json 1 "$CLAVERDB" search --quiet --json --min-score 1 'a ball'
json min_score_json_summary '.[-1]|"\(length > 3) \(.count)"' 'true 0'
expect from_beyond 1 "$CLAVERDB" search --quiet --from 1h 'a ball'
expect from_to 0 "$CLAVERDB" search --quiet --json -n 20 --from 3s --to 3.5s 'a ball'
json from_to_overlap '[.[]|select(.type=="moment")|.end_ms > 3000 and .start_ms < 3500]|all' true
expect exact 0 "$CLAVERDB" search --quiet --json --exact 'a ball'
jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$work/out" >"$work/exact"
expect inexact 0 "$CLAVERDB" search --quiet --json 'a ball'
same exact_is_same "$(jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$work/out")" "$(cat "$work/exact")"

long=$(yes 'a person walks' | head -n 100 | tr '\n' ' ')
expect long_text 0 "$CLAVERDB" search "$long"
err_has long_text_says 'the text is longer than the model reads; [0-9]+ of its prompts were cut'

# Mistakes.
expect empty_text 2 "$CLAVERDB" search --quiet '  '
err_has empty_text_says '^claverdb: '
expect like_nowhere 2 "$CLAVERDB" search --quiet --like "$work/none.mp4"
err_has like_nowhere_says "none.mp4"
expect like_no_video 2 "$CLAVERDB" search --quiet --like tests/cli/search.sh
err_has like_no_video_says "search.sh"
expect like_bad_time 2 "$CLAVERDB" search --quiet --like "$work/in/door-opens-a.mp4@3-1"
err_has like_bad_time_says '^claverdb: '
expect like_beyond 2 "$CLAVERDB" search --quiet --like "$work/in/door-opens-a.mp4@1:00:00"
err_has like_beyond_says '^claverdb: '
mkdir "$work/void"
expect empty_database 0 "$CLAVERDB" index --quiet --db "$work/db2" "$work/void"
expect empty_search 1 "$CLAVERDB" search --quiet --db "$work/db2" 'a ball'
finish
