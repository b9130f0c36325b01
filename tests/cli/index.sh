# Indexing: new, unchanged, changed, moved, broken, gone; dry runs; what the database remembers.
. tests/cli/lib.sh
make_clips
export CLAVERDB_DB="$work/db"
folder="$work/köln hall/a b"
mkdir -p "$folder/.hidden"
cp "$clips/door-opens-a.mp4" "$folder/door.mp4"
cp "$clips/stone-falls-a.mp4" "$folder/stone.mp4"
cp "$clips/ball-bounces-a.mp4" "$folder/.hidden/ball.mp4"
echo 'no video' >"$folder/notes.txt"
root="$work/köln hall"

expect dry_run 0 "$CLAVERDB" index --dry-run "$root"
out_has dry_run_lists 'would be indexed .*door.mp4'
out_has dry_run_sums 'would index 2 of 2 files'
[ ! -e "$work/db" ] && ok dry_run_makes_nothing || fail dry_run_makes_nothing 'a database is there'

expect first 0 "$CLAVERDB" index "$root"
out_has first_sums '^indexed 2 of 2 files: .* of footage, [0-9]+ segments'
err_has built_in_is_said 'warning: no model was named'
expect second 0 "$CLAVERDB" index --json "$root"
json second_unchanged '[.[]|select(.type=="file").status]|unique|join(" ")' unchanged
json second_sums '.[-1]|"\(.type) \(.indexed) \(.unchanged) \(.failed)"' 'summary 0 2 0'
expect forced 0 "$CLAVERDB" index --json --force "$root"
json forced_sums '.[-1]|"\(.indexed) \(.unchanged)"' '2 0'
expect quiet 0 "$CLAVERDB" index --quiet "$root"
same quiet_stderr "$(cat "$work/err")" ""

# A file named by itself, and several paths at once.
expect single_file 0 "$CLAVERDB" index --json "$folder/door.mp4" "$root"
json single_file_once '.[-1].files' 2

# Other settings are other segments: what was made with the old ones is made anew.
expect other_length 0 "$CLAVERDB" index --json --length 1s --stride 500ms "$root"
json other_length_redone '.[-1]|"\(.indexed) \(.segments > 8)"' '2 true'

mv "$folder/door.mp4" "$folder/gate.mp4"
expect moved 0 "$CLAVERDB" index --json --length 1s --stride 500ms "$root"
json moved_is_seen '[.[]|select(.status=="moved")|(.path|split("/")[-1]) + " " + (.from|split("/")[-1])]|join(",")' 'gate.mp4 door.mp4'

cp "$clips/balloon-rises-a.mp4" "$folder/stone.mp4"
expect changed 0 "$CLAVERDB" index --json --length 1s --stride 500ms "$root"
json changed_is_redone '.[-1]|"\(.indexed) \(.unchanged)"' '1 1'

# Files that cannot be read: listed with the reason, remembered, tried again only when asked.
echo 'this is no video' >"$folder/text.mp4"
: >"$folder/empty.mp4"
head -c 20000 "$clips/door-opens-b.mp4" >"$folder/cut.mp4"
expect broken 3 "$CLAVERDB" index "$root"
out_has broken_sums '3 could not be read'
for name in text empty cut; do err_has "broken_names_$name" "^claverdb: .*$name.mp4"; done
same broken_once "$(grep -c text.mp4 "$work/err")" 1
expect broken_again 3 "$CLAVERDB" index --json "$root"
json broken_again_sums '.[-1]|"\(.indexed) \(.failed)"' '0 3'
expect retried 3 "$CLAVERDB" index --json --retry-failed "$root"
json retried_sums '.[-1].failed' 3
json retried_reason '[.[]|select(.status=="failed" and (.detail|length) > 10)]|length' 3
expect failed_is_listed 0 "$CLAVERDB" ls --failed --json
json failed_is_listed_all 'map(.error|length > 10)|"\(length) \(all)"' '3 true'

# Gone files stay until they are pruned.
rm "$folder/gate.mp4" "$folder"/[cet]*.mp4
expect gone 0 "$CLAVERDB" index "$root"
out_has gone_sums 'no longer on disk \(--prune drops them\)'
expect prune_dry 0 "$CLAVERDB" index --json --prune --dry-run "$root"
json prune_dry_says '.[-1].pruned' 4
expect pruned 0 "$CLAVERDB" index --json --prune "$root"
json pruned_sums '.[-1].pruned' 4
expect left 0 "$CLAVERDB" ls --json
json left_one 'map(.path|split("/")[-1])|join(" ")' stone.mp4
expect clean 0 "$CLAVERDB" check

# Progress as a program reads it, and as a log does.
expect progress_json 0 "$CLAVERDB" index --force --quiet --progress json "$root"
same progress_quiet "$(cat "$work/err")" ""
expect progress_json 0 "$CLAVERDB" index --force --progress json "$root"
grep -v '^claverdb: ' "$work/err" >"$work/out"
json progress_json_lines 'map(.type)|unique|join(" ")' progress
expect progress_bar 0 "$CLAVERDB" index --force --progress bar "$root"
err_has progress_bar_shows '\[[#-]{20}\]'

# Mistakes.
expect no_such_path 2 "$CLAVERDB" index "$work/nowhere"
err_has no_such_path_says "^claverdb: .*'?$work/nowhere'?"
expect no_such_model 2 "$CLAVERDB" index --model "$work/none.safetensors" "$root"
err_has no_such_model_says "$work/none.safetensors"
echo 'no weights' >"$work/bad.safetensors"
expect bad_model 2 "$CLAVERDB" index --model "$work/bad.safetensors" "$root"
err_has bad_model_says "^claverdb: '?$work/bad.safetensors"
echo file >"$work/file"
expect database_is_file 2 "$CLAVERDB" --db "$work/file" index "$root"
err_has database_is_file_says "$work/file"
mkdir "$work/empty"
expect nothing_there 0 "$CLAVERDB" index "$work/empty"
out_has nothing_there_says 'indexed 0 of 0 files'
finish
