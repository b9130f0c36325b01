# Real clips, through every command once.
. tests/cli/lib.sh
footage=../shared/footage/clips
[ -d "$footage" ] || { skip real_footage "no $footage"; finish; }
mkdir "$work/in"
ls -S -r "$footage" | grep -E '\.(mp4|mkv|webm|avi|mov|ogv|mpg|3gp|flv|ts|wmv)$' | head -n 6 |
    while read -r name; do cp "$footage/$name" "$work/in/"; done
count=$(ls "$work/in" | wc -l | tr -d ' ')
export CLAVERDB_DB="$work/db"
expect index 0 "$CLAVERDB" index --json "$work/in"
json index_all '.[-1]|"\(.indexed) \(.failed)"' "$count 0"
for file in "$work/in"/*; do
    expect "like_$(basename "$file")" 0 "$CLAVERDB" search --quiet --json -n 1 --like "$file"
    json "like_$(basename "$file")_itself" '.[0].path|split("/")[-1]' "$(basename "$file")"
done
expect search 0 "$CLAVERDB" search --quiet -n 3 'a person walks'
expect export 0 "$CLAVERDB" export --last -o "$work/clips"
expect check 0 "$CLAVERDB" check
finish
