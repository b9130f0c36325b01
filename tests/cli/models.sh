# Two models in one database: which is used, what is refused, and how one goes.
. tests/cli/lib.sh
make_clips
make=$CLV_BUILD/tests/tools/make_model
export CLAVERDB_DB="$work/db"
mkdir "$work/in"
for clip in door-opens-a door-opens-b stone-falls-a; do cp "$clips/$clip.mp4" "$work/in/"; done
"$make" "$work/a.safetensors" --arch tiny --seed 1 && "$make" "$work/b.safetensors" --arch tiny --seed 2 &&
    "$make" "$work/clip.safetensors" --arch tiny --seed 3 --clip || fail make_model 'cannot write models'
like="$clips/door-opens-a.mp4"
vectors() { "$CLAVERDB" ls --segments --vectors --json "$@" | jq -c '[.path,.start_ticks,.vector_digest]' | sort | cksum; }

# A file that was replaced is not the model of the index.
expect index_a 0 "$CLAVERDB" index --model "$work/a.safetensors" "$work/in"
before=$(vectors)
cp "$work/a.safetensors" "$work/kept"
cp "$work/b.safetensors" "$work/a.safetensors"
expect replaced_search 2 "$CLAVERDB" search --like "$like"
err_has replaced_search_says "'$work/a.safetensors' is no longer the model that this index was made with; put that one back, name it with --model, or run claverdb index --model '$work/a.safetensors' PATH… to add"
expect replaced_index 2 "$CLAVERDB" index "$work/in"
err_has replaced_index_says 'is no longer the model that this index was made with'
expect replaced_named 2 "$CLAVERDB" search --model "$work/a.safetensors" --like "$like"
err_has replaced_named_says 'is no longer the model that this index was made with'
same replaced_changes_nothing "$(vectors)" "$before"
expect elsewhere 0 "$CLAVERDB" search --model "$work/kept" --like "$like"
cp "$work/kept" "$work/a.safetensors"
expect put_back 0 "$CLAVERDB" search --like "$like"

# A second model beside the first.
expect unknown_model 2 "$CLAVERDB" search --model "$work/b.safetensors" --like "$like"
err_has unknown_model_says "nothing in '$work/db' was indexed with the model '$work/b.safetensors'; claverdb index --model"
expect no_such_path 2 "$CLAVERDB" index --model "$work/b.safetensors" "$work/none"
expect no_such_path_keeps 0 "$CLAVERDB" search --json --like "$like"
json no_such_path_keeps_default '.[-1].model|split("/")[-1]' a.safetensors
expect index_b 0 "$CLAVERDB" index --json --model "$work/b.safetensors" "$work/in"
json index_b_encodes_all '.[-1]|"\(.indexed) \(.unchanged)"' '3 0'
err_has index_b_says 'lie beside those of another model'
expect index_b_again 0 "$CLAVERDB" index --json "$work/in"
json index_b_again_unchanged '.[-1]|"\(.indexed) \(.unchanged)"' '0 3'
expect status_two 0 "$CLAVERDB" status --json
json status_two_lists '[.[]|select(.type=="model")|"\(.path|split("/")[-1]) \(.default) \(.segments > 0) \(.videos)"]|join(",")' \
    'a.safetensors false true 3,b.safetensors true true 3'
same first_untouched "$(vectors --model "$work/a.safetensors")" "$before"
[ "$(vectors)" != "$before" ] && ok default_differs || fail default_differs 'the vectors of both are the same'
expect search_default 0 "$CLAVERDB" search --json --like "$like"
json search_default_is_b '.[-1].model|split("/")[-1]' b.safetensors
expect search_named 0 "$CLAVERDB" search --json --model "$work/a.safetensors" --like "$like"
json search_named_is_a '"\(.[-1].model|split("/")[-1]) \(.[0].score > 0.99)"' 'a.safetensors true'
expect export_last 0 "$CLAVERDB" export --last -o "$work/cuts" --quiet
expect check_two 0 "$CLAVERDB" check
expect rebuild_two 0 "$CLAVERDB" rebuild
expect check_rebuilt 0 "$CLAVERDB" check
same one_file_a_model "$(ls "$work/db" | grep -c '^vectors-')" 2

# Going back, without footage.
expect no_operands 2 "$CLAVERDB" index
expect back 0 "$CLAVERDB" index --model "$work/a.safetensors"
out_has back_says "searches use the vectors of 'a.safetensors'"
expect back_is_used 0 "$CLAVERDB" search --json --like "$like"
json back_is_a '.[-1].model|split("/")[-1]' a.safetensors
expect back_unknown 2 "$CLAVERDB" index --model "$work/clip.safetensors"
err_has back_unknown_says 'was indexed with the model'

# A model that leaves T free: each T is an index of its own, and search takes the right one.
expect fixed_frames 2 "$CLAVERDB" index --frames 5 "$work/in"
err_has fixed_frames_says 'takes 8 frames a window, not 5'
expect clip_four 0 "$CLAVERDB" index --model "$work/clip.safetensors" --frames 4 "$work/in"
four=$(vectors)
expect clip_again 0 "$CLAVERDB" index --json --model "$work/clip.safetensors" "$work/in"
json clip_again_same_frames '.[-1]|"\(.indexed) \(.unchanged)"' '0 3'
expect clip_search 0 "$CLAVERDB" search --json --like "$like"
json clip_search_fits '.[0].score > 0.99' true
expect clip_two 0 "$CLAVERDB" index --json --frames 2 "$work/in"
json clip_two_is_new '.[-1]|"\(.indexed) \(.unchanged)"' '3 0'
[ "$(vectors)" != "$four" ] && ok frames_apart || fail frames_apart 'two and four frames give the same vectors'
expect clip_two_again 0 "$CLAVERDB" index --json "$work/in"
json clip_two_again_same '.[-1]|"\(.indexed) \(.unchanged)"' '0 3'
expect clip_four_again 0 "$CLAVERDB" index --model "$work/clip.safetensors" --frames 4
same clip_four_kept "$(vectors)" "$four"
expect status_frames 0 "$CLAVERDB" status --json
json status_frames_lists '[.[]|select(.type=="model")|.frame_count]|join(" ")' '8 8 4 2'

# Dropping one model's vectors.
expect forget_none 2 "$CLAVERDB" forget --vectors-of nothing
err_has forget_none_says "has no vectors of a model 'nothing'; claverdb status lists the models"
expect forget_both 2 "$CLAVERDB" forget --vectors-of clip.safetensors
err_has forget_both_says "2 models of '$work/db' are called 'clip.safetensors'; give the number"
expect forget_operand 2 "$CLAVERDB" forget --vectors-of 2 "$work/in"
expect forget_nothing 2 "$CLAVERDB" forget
rm "$work/b.safetensors"
expect forget_gone 0 "$CLAVERDB" forget --vectors-of "$work/b.safetensors"
out_has forget_gone_says 'forgot [0-9]+ segments of .*b.safetensors; no file was touched'
number=$("$CLAVERDB" status --json | jq 'select(.type=="model" and .default).id')
expect forget_default 0 "$CLAVERDB" forget --json --vectors-of "$number"
json forget_default_passes_on '.[-1].default|split("/")[-1]' clip.safetensors
expect still_searches 0 "$CLAVERDB" search --json --like "$like"
json still_searches_two '.[0].score > 0.99' true
expect still_clean 0 "$CLAVERDB" check
expect still_videos 0 "$CLAVERDB" ls --json
json still_videos_all 'length' 3
same left_files "$(ls "$work/db" | grep -c '^vectors-')" 2

# Names.
expect no_name 2 "$CLAVERDB" search --model no-such-model --like "$like"
err_has no_name_says "no file 'no-such-model', and no model of that name"
expect not_here 2 "$CLAVERDB" search --model clip-b32 --like "$like"
err_has not_here_says "model 'clip-b32' is not here yet; run claverdb model pull clip-b32"
mkdir -p "$XDG_DATA_HOME/claverdb/models"
cp "$work/a.safetensors" "$XDG_DATA_HOME/claverdb/models/clip-b32.safetensors"
expect pulled 0 "$CLAVERDB" index --model clip-b32 "$work/in" --db "$work/pulled"
expect pulled_remembered 0 "$CLAVERDB" search --json --like "$like" --db "$work/pulled"
json pulled_is_used '.[-1].model|split("/")[-1]' clip-b32.safetensors
expect pulled_info 0 "$CLAVERDB" model info clip-b32
(cd "$work" && cp clip.safetensors clip-b32 && "$CLAVERDB" model info --json clip-b32) >"$work/out" 2>"$work/err"
json path_wins '.[0].kind' CLIP
rm "$XDG_DATA_HOME/claverdb/models/clip-b32.safetensors"
expect pulled_gone 2 "$CLAVERDB" search --like "$like" --db "$work/pulled"
err_has pulled_gone_says 'run claverdb model pull clip-b32'
finish
