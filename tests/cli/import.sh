# `model import` and `model tensors`: checkpoints of other programs into models, and into databases.
. tests/cli/lib.sh
make_clips
data=tests/data/checkpoints
make=$CLV_BUILD/tests/tools/make_model
out="$work/model.safetensors"
like="$clips/door-opens-a.mp4"

expect trained 0 "$CLAVERDB" model import "$data/claver_kmt/best.pth" -o "$out"
out_has trained_read '^read +PyTorch archive, CLAVER layout$'
out_has trained_wrote "^wrote +$out: 75 tensors"
out_has trained_ignored '^note +ignored: .*V2T.*optimizer'
expect trained_is_right 0 "$CLAVERDB" model compare "$out" "$data/claver_kmt/expect.safetensors"
expect trained_json 0 "$CLAVERDB" model import --json -f "$data/claver_kmt/best.pth" -o "$out"
json trained_json_says '.[0]|"\(.type) \(.layout) \(.tensors) \(.notes|length > 0) \(.bytes > 10000)"' 'import CLAVER 75 true true'
cp "$out" "$work/first.safetensors"
"$CLAVERDB" model import -f "$data/claver_kmt/best.pth" -o "$out" >/dev/null 2>&1
cmp -s "$out" "$work/first.safetensors" && ok same_bytes || fail same_bytes 'two imports of one file differ'

# What the checkpoint does not say can be said, and changes what the model is.
digest() { "$CLAVERDB" model info --json "$1" | jq -r .digest; }
expect said 0 "$CLAVERDB" model import "$data/claver_kmt/best.pth" -o "$work/said.safetensors" --mask KMCT --pixels clip --resize bicubic --activation gelu
"$CLAVERDB" model info --json "$work/said.safetensors" >"$work/out"
json said_is_so '.[0]|"\(.mask) \(.resize) \(.activation)"' 'KMCT bicubic gelu'
[ "$(digest "$work/said.safetensors")" != "$(digest "$out")" ] && ok said_is_another || fail said_is_another 'the same digest'
expect said_heads 0 "$CLAVERDB" model import "$data/forms/zip.pt" -o "$work/heads.safetensors" --vision-heads 2 --text-heads 2
"$CLAVERDB" model info --json "$work/heads.safetensors" >"$work/out"
json said_heads_are_so '.[0]|"\(.vision.heads) \(.text.heads)"' '2 2'
expect bad_heads 2 "$CLAVERDB" model import "$data/forms/zip.pt" -o "$work/no.safetensors" --vision-heads 3
expect bad_mask 2 "$CLAVERDB" model import "$data/forms/zip.pt" -o "$work/no.safetensors" --mask kmt
err_has bad_mask_says "takes one of auto\|KMT\|KMCT, not 'kmt'"
expect bad_pixels 2 "$CLAVERDB" model import "$data/forms/zip.pt" -o "$work/no.safetensors" --pixels grey

# Missing and wrong files leave nothing behind.
expect no_output 2 "$CLAVERDB" model import "$data/forms/zip.pt"
err_has no_output_says 'name the file to write with -o'
expect exists 2 "$CLAVERDB" model import "$data/forms/zip.pt" -o "$out"
err_has exists_says "'$out' exists; --force replaces it"
cmp -s "$out" "$work/first.safetensors" && ok exists_kept || fail exists_kept 'it was replaced'
expect output_is_folder 2 "$CLAVERDB" model import "$data/forms/zip.pt" -o "$work"
err_has output_is_folder_says 'is a folder; name a file in it'
cp "$out" "$work/itself.safetensors"
expect output_is_input 2 "$CLAVERDB" model import "$work/itself.safetensors" -f -o "$work/itself.safetensors"
err_has output_is_input_says 'is what is to be read'
expect missing 2 "$CLAVERDB" model import "$work/none.pt" -o "$work/no.safetensors"
err_has missing_says "none.pt"
echo 'just a text' >"$work/text.pt"
expect text 2 "$CLAVERDB" model import "$work/text.pt" -o "$work/no.safetensors"
err_has text_says "text.pt' is no checkpoint"
mkdir "$work/hollow" && echo hello >"$work/hollow/readme"
expect hollow 2 "$CLAVERDB" model import "$work/hollow" -o "$work/no.safetensors"
err_has hollow_says "hollow"
expect mute 2 "$CLAVERDB" model import "$data/vificlip/best.pth" -o "$work/no.safetensors"
err_has mute_says 'token_embedding'
expect lent 0 "$CLAVERDB" model import "$data/vificlip/best.pth" --base "$data/vificlip/base.pt" -o "$work/vifi.safetensors"
expect lent_is_right 0 "$CLAVERDB" model compare "$work/vifi.safetensors" "$data/vificlip/expect.safetensors"
(
    ulimit -f 8
    "$CLAVERDB" model import "$data/claver_kmt/best.pth" -o "$work/no.safetensors" >"$work/out" 2>"$work/err"
)
same full_disk $? 2
err_has full_disk_says '^claverdb: .*no.safetensors'
same nothing_left "$(find "$work" -maxdepth 1 -name '*no.safetensors*' | wc -l)" 0

# Every tensor of any checkpoint, model or not.
expect tensors 0 "$CLAVERDB" model tensors "$data/claver_kmt/best.pth"
out_has tensors_lists '^f32 +[0-9x]+ +[0-9]+ +model.*visual.proj$'
out_has tensors_sums '^PyTorch archive of [0-9]+ tensors, '
expect tensors_json 0 "$CLAVERDB" model tensors --json "$data/forms/zip_bf16.pt"
json tensors_json_counts '(map(select(.type=="tensor"))|length) == .[-1].tensors and .[-1].tensors > 30' true
json tensors_json_bytes '(map(select(.type=="tensor").bytes)|add) == .[-1].bytes' true
expect tensors_text 2 "$CLAVERDB" model tensors "$work/text.pt"

# An imported model indexes and searches.
export CLAVERDB_DB="$work/db"
"$make" "$work/tiny.safetensors" --arch tiny --clip --seed 5 || fail make_model 'cannot write a model'
expect again 0 "$CLAVERDB" model import "$work/tiny.safetensors" -o "$work/again.safetensors"
same again_same_model "$(digest "$work/again.safetensors")" "$(digest "$work/tiny.safetensors")"
expect index_imported 0 "$CLAVERDB" index --model "$work/again.safetensors" "$clips"
expect search_imported 0 "$CLAVERDB" search --json --like "$like"
json search_imported_finds '.[0].score > 0.99' true
cp "$work/out" "$work/imported"
expect search_original 0 "$CLAVERDB" search --json --model "$work/tiny.safetensors" --like "$like"
same search_original_same "$(jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$work/out")" \
    "$(jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$work/imported")"

# Every layout, as a directory or a file: the import and the checkpoint itself are one model, whose
# vectors are the same.
rm -rf "$work/cache"
for layout in claver_kmt/best.pth openai/model.pt hf_bin hf_safetensors hf_sharded hf_sharded_bin \
    openclip_bin openclip_custom openclip_safetensors xclip_trainer/best.pth; do
    label=$(dirname "$layout/x" | tr '/.' '__')
    model="$data/$layout"
    folder="$data/${layout%%/*}"
    expect "import_$label" 0 "$CLAVERDB" model import "$model" -o "$work/$label.safetensors"
    expect "right_$label" 0 "$CLAVERDB" model compare "$work/$label.safetensors" "$folder/expect.safetensors"
    expect "direct_$label" 0 "$CLAVERDB" model compare "$model" "$folder/expect.safetensors"
    same "digest_$label" "$(digest "$model")" "$(digest "$work/$label.safetensors")"
done
export CLAVERDB_DB="$work/direct"
expect index_direct 0 "$CLAVERDB" index --model "$data/openai/model.pt" "$clips"
expect search_direct 0 "$CLAVERDB" search --json -n 5 'a person opens a door'
cp "$work/out" "$work/direct.out"
json search_direct_finds '.[0].score > -1 and (.[-1].model|endswith("openai/model.pt"))' true
expect search_converted 0 "$CLAVERDB" search --json -n 5 --model "$work/openai_model_pt.safetensors" 'a person opens a door'
moments() { jq -c 'select(.type=="moment")|[.path,.start_ms,.score]' "$1"; }
same search_converted_same "$(moments "$work/out")" "$(moments "$work/direct.out")"
ls "$XDG_CACHE_HOME/claverdb" >/dev/null 2>&1 && ok cache_is_kept || fail cache_is_kept 'no cache'
rm -rf "$work/cache"
expect search_uncached 0 "$CLAVERDB" search --json -n 5 'a person opens a door'
same search_uncached_same "$(moments "$work/out")" "$(moments "$work/direct.out")"
expect index_hollow 2 "$CLAVERDB" index --model "$work/hollow" "$clips"
err_has index_hollow_says 'hollow'
expect index_text 2 "$CLAVERDB" index --model "$work/text.pt" "$clips"
err_has index_text_says 'text.pt'
finish
