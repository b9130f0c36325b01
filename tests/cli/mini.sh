# The built-in model: used where none is named, named like any other, never mistaken for another.
. tests/cli/lib.sh
make_clips
make=$CLV_BUILD/tests/tools/make_model
like="$clips/door-opens-a.mp4"
mkdir "$work/in"
cp "$like" "$clips/stone-falls-a.mp4" "$work/in/"
export CLAVERDB_DB="$work/db"

# Said once, to whom it concerns.
expect index 0 "$CLAVERDB" index "$work/in"
err_has index_warns 'warning: no model was named \(--model\), so the built-in claver-mini is used, which was trained on animated scenes and not on filmed reality; .*claverdb model pull'
same index_warns_once "$(grep -c warning "$work/err")" 1
expect index_again 0 "$CLAVERDB" index "$work/in"
same index_again_silent "$(cat "$work/err")" ""
expect search 0 "$CLAVERDB" search --json 'a person opens a door'
same search_silent "$(cat "$work/err")" ""
json search_says '.[-1]|"\(.model) \(.builtin_model)"' 'claver-mini true'
expect status 0 "$CLAVERDB" status
out_has status_says '^model 1 +claver-mini \(default\): '
expect index_named 0 "$CLAVERDB" index --model mini "$work/in" --db "$work/named"
same index_named_silent "$(cat "$work/err")" ""
expect index_quiet 0 "$CLAVERDB" index --quiet "$work/in" --db "$work/quiet"
same index_quiet_silent "$(cat "$work/err")" ""

# By name, wherever a model is named.
digest=$("$CLAVERDB" model info --json mini | jq -r .digest)
for called in mini claver-mini; do
    expect "info_$called" 0 "$CLAVERDB" model info --json "$called"
    json "info_${called}_says" '.[0]|"\(.path) \(.kind) \(.digest) \(.tokenizer_size == .vocabulary_size)"' "claver-mini CLAVER $digest true"
    expect "search_$called" 0 "$CLAVERDB" search --model "$called" --like "$like"
    expect "ls_$called" 0 "$CLAVERDB" ls --segments --model "$called"
done
expect card 0 "$CLAVERDB" model info mini
out_has card_says_what '^card +claver-mini'
out_has card_says_what_not 'filmed reality'
out_lacks card_names_no_folder '"/'
expect list 0 "$CLAVERDB" model list
out_has list_says '^mini +model +[0-9.]+ MB .* built in$'
expect pull 2 "$CLAVERDB" model pull mini --from http://127.0.0.1:1/x.pt
err_has pull_says "'mini' is built in, so there is nothing to pull"
expect tensors 2 "$CLAVERDB" model tensors mini
err_has tensors_says "'mini' is the built-in model, which has no file"
echo '[{"name": "mini", "url": "http://127.0.0.1:1/x.pt", "sha256": "'"$digest"'"}]' >"$work/list.json"
expect catalogue 2 "$CLAVERDB" model list --catalogue "$work/list.json"
err_has catalogue_says 'is that of the built-in model'

# Nothing that is called so takes its place.
"$make" "$work/mini" --arch tiny --seed 1 || fail make_model 'cannot write a model'
mkdir -p "$XDG_DATA_HOME/claverdb/models"
cp "$work/mini" "$XDG_DATA_HOME/claverdb/models/mini.safetensors"
cp "$work/mini" "$work/claver-mini"
CLAVERDB=$(realpath "$CLAVERDB")
cd "$work" || exit 1
for called in mini claver-mini; do
    expect "shadow_$called" 0 "$CLAVERDB" model info --json "$called"
    json "shadow_${called}_says" '.[0].digest' "$digest"
done
expect file_named 0 "$CLAVERDB" model info --json ./mini
json file_named_is_other ".[0]|.digest != \"$digest\" and (.path|endswith(\"/mini\"))" true
expect search_by_memory 0 "$CLAVERDB" search --json --like "$like"
json search_by_memory_says '.[-1].builtin_model' true

# Beside others.
expect index_other 0 "$CLAVERDB" index --model ./mini in
err_has index_other_says 'lie beside those of another model'
expect other_default 0 "$CLAVERDB" search --json --like "$like"
json other_default_says '.[-1].builtin_model' false
expect back 0 "$CLAVERDB" index --model mini
out_has back_says "searches use the vectors of 'claver-mini'"
expect back_default 0 "$CLAVERDB" search --json --like "$like"
json back_default_says '.[-1].builtin_model' true
expect forget 0 "$CLAVERDB" forget --vectors-of mini
out_has forget_says 'forgot [0-9]+ segments of claver-mini'
expect forgotten 2 "$CLAVERDB" search --model mini --like "$like"
err_has forgotten_says "was indexed with the model 'claver-mini'"

# What another version's built-in model made stays, and is made again beside it.
old() {
    rm -rf "$work/old"
    cp -r "$work/named" "$work/old"
    sqlite3 "$work/old/catalog.sqlite" "$1"
}
expect_old() {
    expect "$1_search" 2 "$CLAVERDB" search --db old 'a door opens'
    err_has "$1_search_says" "^claverdb: 'old' was indexed with the $2 of another version of claverdb, which this one does not have; run claverdb index PATH… to index the footage again"
    same "$1_search_one_line" "$(wc -l <"$work/err" | tr -d ' ')" 1
    expect "$1_like" 2 "$CLAVERDB" search --db old --like "$like"
    expect "$1_status" 0 "$CLAVERDB" status --db old --json
    json "$1_keeps" '[.[]|select(.type=="model" and .segments > 0)]|length' 1
    expect "$1_index" 0 "$CLAVERDB" index --db old --json in
    json "$1_index_all" '.[-1].indexed' 2
    expect "$1_search_now" 0 "$CLAVERDB" search --db old --json 'a door opens'
    json "$1_search_now_says" '.[-1].builtin_model' true
    expect "$1_status_now" 0 "$CLAVERDB" status --db old --json
    json "$1_keeps_both" '[.[]|select(.type=="model" and .segments > 0)|.default]|tojson' '[false,true]'
}
if command -v sqlite3 >/dev/null; then
    old "UPDATE model SET name = 'built-in placeholder', path = '', digest = randomblob(32);
         UPDATE setting SET value = '' WHERE key = 'model';"
    expect_old placeholder 'built-in placeholder'
    old "UPDATE model SET digest = randomblob(32);"
    expect_old earlier 'claver-mini'
    old "UPDATE model SET digest = randomblob(32);"
    expect earlier_named 2 "$CLAVERDB" search --db old --model mini --like "$like"
    err_has earlier_named_says 'of another version of claverdb'
else
    skip older_versions 'no sqlite3'
fi
finish
