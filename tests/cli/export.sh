# Export: the last result or chosen moments, cuts and copies, and nothing overwritten unasked.
. tests/cli/lib.sh
index_clips ball-bounces-a door-opens-a stone-falls-a
ffmpeg -loglevel error -f lavfi -i testsrc2=d=6:s=320x240:r=25 -f lavfi -i sine=d=6 -pix_fmt yuv420p \
    -g 50 -c:a aac "$work/in/test sound.mp4" </dev/null
"$CLAVERDB" index --quiet "$work/in" >/dev/null

expect nothing_yet 2 "$CLAVERDB" export -o "$work/out0"
err_has nothing_yet_says 'no search is remembered, so there is nothing to export'
"$CLAVERDB" search --quiet --json -n 3 'a ball bounces' >"$work/found"
count=$(grep -c '"moment"' "$work/found")

expect last 0 "$CLAVERDB" export --last -o "$work/clips"
out_has last_says "^$count clips? written; contact sheet: .*contact-sheet.html"
same last_files "$(ls "$work/clips" | grep -c '\.mp4$')" "$count"
for file in manifest.csv manifest.json contact-sheet.html; do
    [ -s "$work/clips/$file" ] && ok "last_$file" || fail "last_$file" 'is missing or empty'
done
jq -e . "$work/clips/manifest.json" >/dev/null && ok manifest_parses || fail manifest_parses 'jq fails'
grep -q 'src="data:image/jpeg;base64,' "$work/clips/contact-sheet.html" && ok sheet_has_pictures || fail sheet_has_pictures 'no picture'
grep -qE 'https?://' "$work/clips/contact-sheet.html" && fail sheet_is_self_contained 'it links elsewhere' || ok sheet_is_self_contained

# Every clip is as long as its moment, to the frame.
seconds() { ffprobe -loglevel error -select_streams v -show_entries stream=nb_frames,r_frame_rate -of csv=p=0 "$1" </dev/null | awk -F'[,/]' '{print $3 / ($1 / $2)}'; }
path=$(jq -r 'select(.rank==1)|.path|split("/")[-1]|rtrimstr(".mp4")' "$work/found")
want=$(jq -r 'select(.rank==1)|(.end_ms-.start_ms)/1000' "$work/found")
for file in "$work/clips/$path"*.mp4; do :; done
same clip_length "$(seconds "$file" | awk -v want="$want" '{print (($1 - want) ^ 2 < 0.05 ^ 2)}')" 1

expect again 2 "$CLAVERDB" export --last -o "$work/clips"
err_has again_says 'more exist already; nothing was written'
expect overwrite 0 "$CLAVERDB" export --last -o "$work/clips" --overwrite

id=$(jq -r 'select(.rank==2).id' "$work/found")
expect by_id 0 "$CLAVERDB" export "$id" -o "$work/one" --json
json by_id_lines 'map(.type)|join(" ")' 'clip summary'
json by_id_one '.[-1]|"\(.written) \(.failed)"' '1 0'
expect sheet_only 0 "$CLAVERDB" export --last -o "$work/sheet" --no-clips
same sheet_only_files "$(ls "$work/sheet" | grep -c '\.mp4$')" 0
[ -s "$work/sheet/contact-sheet.html" ] && ok sheet_only_sheet || fail sheet_only_sheet 'is missing'
expect default_directory 0 env -C "$work" "$CLAVERDB" export --quiet
[ -s "$work/claverdb-export/manifest.json" ] && ok default_directory_is_there || fail default_directory_is_there 'no manifest'

# Sound, padding, stream copies.
"$CLAVERDB" search --quiet --json -n 1 --in '*/test sound.mp4' --from 2.5 --to 2.6 'x' >"$work/found"
sound() { ffprobe -loglevel error -select_streams a -show_entries stream=codec_name -of csv=p=0 "$1" </dev/null; }
expect with_sound 0 "$CLAVERDB" export -o "$work/sound"
for file in "$work/sound"/*.mp4; do :; done
same with_sound_has_it "$(sound "$file")" aac
long=$(seconds "$file")
expect without_sound 0 "$CLAVERDB" export -o "$work/silent" --no-audio
for file in "$work/silent"/*.mp4; do :; done
same without_sound_has_none "$(sound "$file")" ""
expect padded 0 "$CLAVERDB" export -o "$work/padded" --pad 500ms --no-audio
for file in "$work/padded"/*.mp4; do :; done
same padded_is_longer "$(seconds "$file" | awk -v long="$long" '{print ($1 > long)}')" 1
expect copied 0 "$CLAVERDB" export -o "$work/copied" --copy
same copied_one "$(ls "$work/copied" | grep -c '\.mp4$')" 1

# Mistakes, and a source that is gone.
expect bad_id 2 "$CLAVERDB" export -o "$work/x" seven
err_has bad_id_says "'seven' is no moment id"
expect unknown_id 2 "$CLAVERDB" export -o "$work/x" 999999
err_has unknown_id_says 'moment 999999 is not among the remembered ones'
[ ! -e "$work/x" ] && ok mistakes_make_nothing || fail mistakes_make_nothing "$work/x exists"
echo file >"$work/plain"
expect target_is_file 2 "$CLAVERDB" export -o "$work/plain"
err_has target_is_file_says plain
rm "$work/in/test sound.mp4"
expect source_gone 3 "$CLAVERDB" export -o "$work/gone"
err_has source_gone_says 'test sound.mp4'
"$CLAVERDB" search --quiet --in '*/nowhere/*' 'x' >/dev/null
expect empty_result 2 "$CLAVERDB" export -o "$work/y"
err_has empty_result_says 'the last search found nothing'
finish
