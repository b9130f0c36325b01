# `model pull` and `model list` against a server on loopback that misbehaves.
. tests/cli/lib.sh
serve=$CLV_BUILD/tests/tools/serve
# Nothing here may reach the network: https goes nowhere, loopback has no proxy.
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
export https_proxy=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1
data=$XDG_DATA_HOME/claverdb
mkdir "$work/files"
cp tests/data/checkpoints/openai/model.pt tests/data/checkpoints/openai/bpe_simple_vocab_16e6.txt.gz "$work/files/"
echo 'no checkpoint' >"$work/files/wrong.pt"
sha256() { sha256sum "$1" | cut -d' ' -f1; }
model_sha=$(sha256 "$work/files/model.pt")
size=$(stat -c %s "$work/files/model.pt")

# start STEP…: a server, whose address is $url; stop: ends it, what it was asked for is in $work/asked.
server=
start() {
    rm -f "$work/served"
    "$serve" "$work/files" "$@" >"$work/served" 2>"$work/serve.err" &
    server=$!
    tries=0
    while ! grep -q "^http" "$work/served" 2>/dev/null && [ $tries -lt 200 ]; do
        sleep 0.02
        tries=$((tries + 1))
    done
    url=$(head -n 1 "$work/served")
    list
}
stop() {
    kill $server
    wait $server
    sed 1d "$work/served" >"$work/asked"
}
# The list of the tests: a model and its vocabulary at the server's address.
list() {
    cat >"$work/list.json" <<END
[{"type": "vocabulary", "name": "words", "url": "${url}bpe_simple_vocab_16e6.txt.gz",
  "sha256": "$(sha256 "$work/files/bpe_simple_vocab_16e6.txt.gz")"},
 {"name": "tiny", "url": "${url}model.pt", "sha256": "$model_sha", "size_bytes": $size,
  "licence": "none", "source": "the tests", "vocabulary": "words"}]
END
}
export CLAVERDB_CATALOGUE="$work/list.json"
pull() { "$CLAVERDB" model pull "$@"; }
fresh() { rm -rf "$data"; }

# ---- the list ----
expect list_built_in 0 env -u CLAVERDB_CATALOGUE "$CLAVERDB" model list
for name in clip-b32 clip-b16 clip-l14 clip-l14-336; do out_has "list_$name" "^$name +model +[0-9]+ MB +MIT +https://"; done
out_has list_vocabulary '^clip-vocabulary +vocabulary '
env -u CLAVERDB_CATALOGUE "$CLAVERDB" model list --json >"$work/built-in.json"
expect list_round_trip 0 "$CLAVERDB" model list --json --catalogue "$work/built-in.json"
same list_round_trip_same "$(cat "$work/out")" "$(cat "$work/built-in.json")"

# ---- a pull that goes well ----
start
expect list_own 0 "$CLAVERDB" model list
out_has list_own_has '^tiny +model +70.1 kB +none +the tests +-$'
expect pull 0 pull tiny
out_has pull_says '^pulled tiny: .*models/tiny.safetensors'
out_has pull_next '^next: claverdb index FOOTAGE --model tiny$'
[ -s "$data/models/tiny.safetensors" ] && [ -s "$data/vocabulary/bpe_simple_vocab_16e6.txt.gz" ] &&
    ok pull_is_there || fail pull_is_there "$(find "$data")"
same pull_leaves_nothing "$(ls "$data/downloads")" ""
expect list_after 0 "$CLAVERDB" model list --json
json list_after_path '.[]|select(.name=="tiny")|.path' "$data/models/tiny.safetensors"
expect pull_again 0 pull tiny
out_has pull_again_says '^tiny is here already: '
expect pull_force 0 pull tiny --force --keep --json
json pull_json '.[0]|"\(.type) \(.was_here) \(.vouched) \(.has_vocabulary) \(.sha256)"' "pull false true true $model_sha"
same pull_keeps "$(sha256 "$data/downloads/tiny-model.pt")" "$model_sha"
expect pull_from_kept 0 pull tiny --force
stop
# The vocabulary once, the model twice: the kept one was not fetched again.
same pull_asked "$(cut -d' ' -f1 "$work/asked" | sort | uniq -c | tr -s ' ')" " 1 /bpe_simple_vocab_16e6.txt.gz
 2 /model.pt"
expect pull_offline_here 0 pull tiny

# ---- the pulled model works ----
make_clips
export CLAVERDB_DB="$work/db"
expect index_by_name 0 "$CLAVERDB" index --quiet --model tiny "$clips/door-opens-a.mp4"
expect search_by_name 0 "$CLAVERDB" search --json --model tiny 'a door opens'
json search_by_name_is_ours '.[-1].builtin_model' false

# ---- a network that breaks ----
fresh
start normal truncates closes 500
expect broken_off 0 pull tiny --progress json
err_has broken_off_progress '"type":"progress","step":"download","file":"'
stop
same broken_off_resumes "$(sed -n '5p' "$work/asked")" "/model.pt $((size / 2)) 206 $((size - size / 2))"
fresh
start normal 404
expect missing 2 pull tiny
err_has missing_says "there is no '${url}model.pt' \\(the server answers 404\\)"
stop
fresh
start normal wrong-bytes
expect wrong 2 pull tiny
err_has wrong_says "'${url}model.pt' is not the file asked for and was thrown away: its SHA-256 is [0-9a-f]{64}, not $model_sha"
same wrong_leaves_nothing "$(ls "$data/downloads" "$data/models" 2>/dev/null | grep -c tiny)" 0
stop
expect no_server 2 pull tiny
err_has no_server_says "cannot download '${url}model.pt': Failed to connect to 127.0.0.1"

# ---- Ctrl-C ----
fresh
start normal stalls
"$CLAVERDB" model pull tiny >"$work/out" 2>"$work/err" &
process=$!
tries=0
while [ "$(stat -c %s "$data/downloads/tiny-model.pt.part" 2>/dev/null || echo 0)" -lt $((size / 2)) ] && [ $tries -lt 200 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
expect locked 2 pull tiny
err_has locked_says "'tiny' is being pulled by another process"
kill -s INT $process
wait $process
same interrupted $? 130
err_has interrupted_says "was stopped at $((size / 2)) bytes; the same command goes on from there"
expect interrupted_goes_on 0 pull tiny
stop
same interrupted_rest "$(sed -n '$p' "$work/asked")" "/model.pt $((size / 2)) 206 $((size - size / 2))"

# ---- other addresses ----
fresh
start
expect mirror 0 env CLAVERDB_MIRROR="http://127.0.0.1:1/ ${url}" "$CLAVERDB" model pull tiny
err_has mirror_says 'warning: .*127.0.0.1:1/.*; trying the next address'
fresh
expect from_base 0 pull tiny --from "$url"
fresh
expect from_file 2 pull tiny --from "${url}wrong.pt"
err_has from_file_says "'${url}wrong.pt' is not the file asked for: it has 14 bytes, not $size"
expect from_sha 2 pull tiny --from "${url}wrong.pt" --sha256 "$(sha256 "$work/files/wrong.pt")"
err_has from_sha_says "tiny-model.pt' is no checkpoint"
expect bad_sha 2 pull tiny --sha256 12
err_has bad_sha_says "'12' is not a digest"
fresh
expect unlisted 0 pull mine --from "${url}model.pt"
out_has unlisted_says "^nobody vouched for it: its SHA-256 is $model_sha"
err_has unlisted_vocabulary "'mine' has no vocabulary and can search by pictures only"
fresh
expect unlisted_sha 0 pull mine --from "${url}model.pt" --sha256 "$model_sha" --quiet
out_lacks unlisted_sha_says 'nobody vouched'
expect unlisted_base 2 pull other --from "$url"
err_has unlisted_base_says "'other' is in no list, so it needs its file's own address"
expect unknown 2 pull tinny
err_has unknown_says "there is no model 'tinny' in the list; did you mean 'tiny'\\?"
expect bad_name 2 pull ../tiny --from "${url}model.pt"
err_has bad_name_says "'../tiny' can be no model's name"
expect ftp 2 pull mine2 --from ftp://127.0.0.1/x.pt
err_has ftp_says "is no http or https address"
fresh
expect vocabulary 0 pull words
out_has vocabulary_says '^pulled words: .*vocabulary/bpe_simple_vocab_16e6.txt.gz$'
expect vocabulary_again 0 pull words
out_has vocabulary_again_says '^words is here already'
stop

echo '[{"name": "x"}]' >"$work/bad.json"
expect bad_list 2 "$CLAVERDB" model list --catalogue "$work/bad.json"
err_has bad_list_says "bad.json': the \"url\" of the model 'x' is missing"
finish
