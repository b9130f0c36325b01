# `model verify`: minisign signatures of models and of other files.
. tests/cli/lib.sh
signed=$PWD/tests/data/signed
cp "$signed"/*.txt "$signed"/*.minisig "$work/"
id=$(sed -n '1s/.* //p' "$signed/signer.pub")
verify() { "$CLAVERDB" model verify "$@"; }

for file in prehashed legacy empty; do
    expect "good_$file" 0 verify "$work/$file.txt" --key "$signed/signer.pub"
    out_has "good_${file}_key" "^signature  good, by the key $id\$"
    out_has "good_${file}_comment" "^comment    the trusted comment of $file.txt\$"
done
expect key_line 0 env CLAVERDB_KEY="$(sed -n 2p "$signed/signer.pub")" "$CLAVERDB" model verify --json "$work/legacy.txt"
json key_line_json '.[0]|"\(.type) \(.signed) \(.key_id) \(.trusted_comment)"' "verify true $id the trusted comment of legacy.txt"

expect unknown 2 verify "$work/legacy.txt" --key "$signed/other.pub"
err_has unknown_says "is signed by the key $id, which is not known here; name its public key with --key, or put it into '$XDG_DATA_HOME/claverdb/keys'"
mkdir -p "$XDG_DATA_HOME/claverdb/keys"
cp "$signed"/*.pub "$XDG_DATA_HOME/claverdb/keys/"
expect known 0 verify "$work/legacy.txt"

expect unsigned 0 verify "$signed/make_signed.sh"
out_has unsigned_says '^signature  not signed$'
expect gone 2 verify "$work/none"
err_has gone_says "none'"
echo more >>"$work/legacy.txt"
expect changed 2 verify "$work/legacy.txt"
err_has changed_says "legacy.txt' is not the file that the key $id signed"
sed -i 's/trusted comment of/trusted comments of/' "$work/prehashed.txt.minisig"
expect comment 2 verify "$work/prehashed.txt"
err_has comment_says "its signature or its trusted comment was changed"
echo nonsense >"$work/empty.txt.minisig"
expect malformed 2 verify "$work/empty.txt"
err_has malformed_says "empty.txt.minisig' is no minisign signature: "

# A model is opened too.
"$CLV_BUILD/tests/tools/make_model" "$work/tiny.safetensors" --arch tiny --clip
expect model 0 verify "$work/tiny.safetensors"
out_has model_content '^content    [0-9]+ tensors, a whole model$'
digest=$("$CLAVERDB" model info --json "$work/tiny.safetensors" | jq -r .digest)
out_has model_digest "^digest     $digest\$"
expect other_tensors 0 verify tests/data/checkpoints/openai/expect.safetensors
out_has other_tensors_says '^content    [0-9]+ tensors, no model$'
head -c 5000 "$work/tiny.safetensors" >"$work/cut.safetensors"
expect cut 2 verify "$work/cut.safetensors"
err_has cut_says 'cut.safetensors'
finish
