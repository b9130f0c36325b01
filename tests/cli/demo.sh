# The demonstration: whole, honest, re-runnable.
. tests/cli/lib.sh
cd "$work" || exit 1
expect demo 0 "$CLAVERDB" demo
out_has demo_commands '^\$ claverdb index claverdb-demo/clips --db claverdb-demo/db$'
out_has demo_quotes '^\$ claverdb search "a ball bounces" '
out_has demo_finds_twin 'ball-bounces-b\.mp4 comes first among the other clips, as it should'
sheet=$(sed -n 's/^The contact sheet is \(.*\); open.*/\1/p' "$work/out")
[ -s "$sheet" ] && ok demo_sheet || fail demo_sheet "no file '$sheet'"
same demo_clips "$(ls claverdb-demo/clips | wc -l | tr -d ' ')" 12
same demo_exported "$(ls claverdb-demo/export | grep -c '\.mp4$')" 3
expect demo_check 0 "$CLAVERDB" check --db claverdb-demo/db
expect demo_again 0 "$CLAVERDB" demo
out_has demo_again_unchanged '12 unchanged'
expect demo_json 0 "$CLAVERDB" demo --json claverdb-demo
json demo_json_types 'map(.type)|unique|join(" ")' 'clip file moment summary'

echo file >plain
expect demo_in_file 2 "$CLAVERDB" demo plain/demo
err_has demo_in_file_says plain
finish
