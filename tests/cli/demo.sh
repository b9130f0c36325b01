# The demonstration: whole, honest, re-runnable.
. tests/cli/lib.sh
cd "$work" || exit 1
# How many answers are right is up to the built-in weights; the exit status says what was promised.
expect demo 0 "$CLAVERDB" demo
out_has demo_commands '^\$ claverdb index claverdb-demo/films --db claverdb-demo/db --model mini$'
for sentence in 'a person sits down' 'a person stands up' 'someone opens a door' 'someone closes a door'; do
    out_has "demo_asks_$sentence" "^\\\$ claverdb search \"$sentence\" "
done
out_has demo_promise '^1[012] of 12 sentences were answered rightly; at least 10 are promised\.$'
out_has demo_shows '^(right: [a-z-]+-[12]\.mp4 shows it|WRONG: [a-z-]+-[12]\.mp4 does not show it)$'
out_has demo_example '^\$ claverdb search --like claverdb-demo/films/sit-down-1\.mp4 '
right=$(grep -c '^right: ' "$work/out")
wrong=$(grep -c '^WRONG: ' "$work/out")
same demo_answers $((right + wrong)) 13
# The count is that of the answers shown, the example's aside.
out_has demo_counts "^$((right - 1)) of 12 sentences "
sheet=$(sed -n 's/^The contact sheet is \(.*\); open.*/\1/p' "$work/out")
[ -s "$sheet" ] && ok demo_sheet || fail demo_sheet "no file '$sheet'"
same demo_films "$(ls claverdb-demo/films | wc -l | tr -d ' ')" 24
same demo_exported "$(ls claverdb-demo/export | grep -c '\.mp4$')" 3
expect demo_check 0 "$CLAVERDB" check --db claverdb-demo/db
expect demo_again 0 "$CLAVERDB" demo
out_has demo_again_unchanged '24 unchanged'
expect demo_json 0 "$CLAVERDB" demo --json claverdb-demo
json demo_json_types 'map(.type)|unique|join(" ")' 'answer clip demo file moment summary'
json demo_json_answers '[.[]|select(.type=="answer" and .question!="--like" and .right)]|length' "$((right - 1))"
json demo_json_sums '.[-1]|"\(.type) \(.sentences) \(.right) \(.promised)"' "demo 12 $((right - 1)) 10"

# Another model is asked the same, and nothing is expected of it. This one knows nothing.
"$CLV_BUILD/tests/tools/make_model" "$work/random.safetensors" --arch tiny --vocab-size 514 ||
    fail make_model 'cannot write a model'
echo '"bpe_simple_vocab_16e6.txt#version: 0.2' >bpe_simple_vocab_16e6.txt
mkdir other
mv claverdb-demo/films other/
expect other 0 "$CLAVERDB" demo other --model "$work/random.safetensors"
out_has other_counts '^[0-9]+ of 12 sentences were answered rightly\.$'
out_has other_wrong '^WRONG: [a-z-]+-[12]\.mp4 does not show it$'

expect films 0 "$CLAVERDB" demo --clips-only only
same films_only "$(ls only)" films
echo file >plain
expect demo_in_file 2 "$CLAVERDB" demo plain/demo
err_has demo_in_file_says plain
finish
