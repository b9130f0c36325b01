# status, check, rebuild, forget.
. tests/cli/lib.sh
index_clips door-opens-a door-opens-b stone-falls-a stone-falls-b

expect status 0 "$CLAVERDB" status
out_has status_database "^database +$work/db \(schema [0-9]+\)$"
out_has status_videos '^videos +4; 0 could not be read, 0 missing$'
out_has status_footage '^footage +16\.0 s in [0-9]+ segments$'
out_has status_size '^size +catalog [0-9.]+ [kM]?B, vector indexes [0-9.]+ '
out_has status_model '^model 1 +claver-mini \(default\): .* index flat'
expect status_json 0 "$CLAVERDB" status --json
json status_json_types 'map(.type)|join(" ")' 'status model'
json status_json_sums '.[0]|"\(.videos) \(.failed) \(.footage_ms)"' '4 0 16000'

expect check 0 "$CLAVERDB" check
out_has check_says '^no problems?$'
expect check_json 0 "$CLAVERDB" check --json
json check_json_sums '.[-1]|"\(.type) \(.problems)"' 'summary 0'

# A vector index that is not what the catalog says: check finds it, searches do not suffer, rebuild
# mends it.
"$CLAVERDB" search --quiet --json 'a door' | jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' >"$work/before"
index=$(find "$work/db" -type f ! -name 'catalog.sqlite*' -size +0 | grep -v -i lock | head -n 1)
printf 'XXXX' | dd of="$index" bs=1 seek=200 conv=notrunc 2>/dev/null
expect check_damaged 1 "$CLAVERDB" check
out_has check_damaged_counts '^[0-9]+ problems?$'
expect check_damaged_json 1 "$CLAVERDB" check --json
json check_damaged_json_problem '.[0]|"\(.type) \(.text|length > 10)"' 'problem true'
expect rebuild 0 "$CLAVERDB" rebuild
out_has rebuild_says '^rebuilt the vector indexes of [0-9]+ segments'
expect check_rebuilt 0 "$CLAVERDB" check
printf 'XXXX' | dd of="$index" bs=1 seek=200 conv=notrunc 2>/dev/null
expect search_damaged 0 "$CLAVERDB" search --quiet --json 'a door'
same search_damaged_same "$(jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$work/out")" "$(cat "$work/before")"
rm -f "$index"
expect search_deleted 0 "$CLAVERDB" search --quiet --json 'a door'
same search_deleted_same "$(jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$work/out")" "$(cat "$work/before")"
expect rebuild_json 0 "$CLAVERDB" rebuild --json
json rebuild_json_sums '.[0]|"\(.type) \(.segments > 0)"' 'summary true'

# Forgetting: by path, by pattern, by folder; files stay.
expect forget_path 0 "$CLAVERDB" forget "$work/in/door-opens-a.mp4"
out_has forget_path_says '^forgot .*/door-opens-a\.mp4$'
[ -s "$work/in/door-opens-a.mp4" ] && ok forget_keeps_file || fail forget_keeps_file 'it is gone'
expect forget_searched 0 "$CLAVERDB" search --quiet --json -n 20 'a door'
json forget_not_found '[.[]|select(.path and (.path|endswith("door-opens-a.mp4")))]|length' 0
expect forget_again 2 "$CLAVERDB" forget "$work/in/door-opens-a.mp4"
err_has forget_again_says "no video of the database matches '.*door-opens-a.mp4'"
expect forget_glob 0 "$CLAVERDB" forget --json '*/stone-*'
json forget_glob_lines 'map(.type)|join(" ")' 'forgotten forgotten summary'
json forget_glob_sums '.[-1]|"\(.videos) \(.segments > 1)"' '2 true'
rm "$work/in/door-opens-b.mp4"
expect forget_gone_file 0 "$CLAVERDB" forget "$work/in/door-opens-b.mp4"
expect check_forgotten 0 "$CLAVERDB" check
expect search_empty 1 "$CLAVERDB" search --quiet 'a door'
"$CLAVERDB" index --quiet "$work/in" >/dev/null
expect forget_folder 0 "$CLAVERDB" forget "$work/in"
expect ls_empty 1 "$CLAVERDB" ls

# Databases that are none.
mkdir "$work/notes"
echo 'not a database, only text that is long enough to be looked at as one' >"$work/notes/catalog.sqlite"
for command in status check rebuild ls 'search x' 'index .'; do
    expect "no_catalog_$command" 2 "$CLAVERDB" --quiet --db "$work/notes" $command
    err_has "no_catalog_${command}_says" "^claverdb: .*$work/notes"
done
finish
