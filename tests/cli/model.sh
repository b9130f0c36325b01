# `model info` and `model compare`.
. tests/cli/lib.sh

expect no_file 2 "$CLAVERDB" model info "$work/none.safetensors"
err_has no_file_says "none.safetensors"
printf '\010\0\0\0\0\0\0\0{}      ' >"$work/hollow.safetensors"
expect hollow 2 "$CLAVERDB" model info "$work/hollow.safetensors"
err_has hollow_says "^claverdb: .*hollow.safetensors"
echo text >"$work/text.safetensors"
expect no_weights 2 "$CLAVERDB" model compare "$work/text.safetensors" "$work/text.safetensors"
err_has no_weights_says "text.safetensors"

golden=../shared/golden
[ -d "$golden" ] || { skip model_golden "no $golden"; finish; }
for model in "$golden"/*.safetensors; do
    case $model in *.expect.safetensors) continue ;; esac
    name=$(basename "$model" .safetensors)
    expect "info_$name" 0 "$CLAVERDB" model info "$model"
    out_has "info_${name}_kind" '^kind +CL'
    expect "info_json_$name" 0 "$CLAVERDB" model info --json "$model"
    json "info_json_${name}_type" '.[0]|"\(.type) \(.parameters > 0) \(.digest|length)"' 'model true 64'
    expect "compare_$name" 0 "$CLAVERDB" model compare "$model" "${model%.safetensors}.expect.safetensors"
    out_has "compare_${name}_says" 'tensors compared, [0-9]+ not; the largest error is .*, within'
    out_has "compare_${name}_lists" '^video_vector +[0-9.e+-]+ +[0-9.e+-]+ +ok$'
    expect "compare_strict_$name" 1 "$CLAVERDB" model compare "$model" "${model%.safetensors}.expect.safetensors" --tolerance 0
    out_has "compare_strict_${name}_says" ' DIFFERS$'
    expect "compare_json_$name" 0 "$CLAVERDB" model compare --json "$model" "${model%.safetensors}.expect.safetensors"
    json "compare_json_${name}_sums" '.[-1]|"\(.type) \(.within) \(.compared > 3)"' 'summary true true'
    expect "train_$name" 0 "$CLAVERDB" model compare --train "$model" "${model%.safetensors}.expect.safetensors"
    out_has "train_${name}_says" 'tensors compared, 6 not; .*, within the tolerance of 0.001'
    out_has "train_${name}_lists" '^step.logit_scale +[0-9.e+-]+ +[0-9.e+-]+ +ok$'
    expect "train_strict_$name" 1 "$CLAVERDB" model compare --train "$model" "${model%.safetensors}.expect.safetensors" --tolerance 0
    last=$model
done

# A database remembers its model, and says where it was when it is gone.
make_clips
cp "$last" "$work/model.safetensors"
export CLAVERDB_DB="$work/db"
expect index_model 0 "$CLAVERDB" index --model "$work/model.safetensors" "$clips/door-opens-a.mp4"
err_lacks index_model_no_warning 'claver-mini'
expect remembered 0 "$CLAVERDB" search --json --like "$clips/door-opens-a.mp4"
json remembered_is_used '.[-1].builtin_model' false
expect status_names_it 0 "$CLAVERDB" status
out_has status_names_it_path "^model 1 +$work/model.safetensors \\(default\\): "
expect other_model 2 "$CLAVERDB" search --model "$last" --like "$clips/door-opens-a.mp4" --db "$work/none"
err_has other_model_no_database 'no database at'
rm "$work/model.safetensors"
expect model_gone 2 "$CLAVERDB" search --like "$clips/door-opens-a.mp4"
err_has model_gone_says "the model of this database is no longer at '$work/model.safetensors'; name it with --model"
expect model_renamed 0 "$CLAVERDB" search --model "$last" --like "$clips/door-opens-a.mp4"
expect index_gone 2 "$CLAVERDB" index "$clips/door-opens-a.mp4"
err_has index_gone_says 'name it with --model'
finish
