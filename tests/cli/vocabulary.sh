# `model vocabulary`: a vocabulary of one's own texts, and what makes none.
. tests/cli/lib.sh
make_list() { "$CLAVERDB" model vocabulary "$@"; }
cd "$work" || exit 1

printf 'low low low low low lower lower\n' >one.txt
printf 'newest newest newest newest newest newest widest widest widest\n' >two.txt
expect two_texts 0 make_list one.txt two.txt -o list.txt --size 518
out_has two_texts_words 'read +16 words, 4 different'
out_has two_texts_ids 'list.txt: 518 ids, 4 of them merges'
same two_texts_list "$(cat list.txt)" "$(printf '#version: 0.2\ne s\nes t</w>\nl o\ne w')"
expect exists 2 make_list one.txt -o list.txt
err_has exists_says "'list.txt' exists; --force replaces it"
expect forced 0 make_list --json --force two.txt one.txt -o list.txt
json forced_ids '.[0] | [.type, .ids, .merges, .words, .distinct_words] | map(tostring) | join(" ")' 'vocabulary 527 13 16 4'
err_lacks forced_silent .
expect too_few 0 make_list --size 1024 one.txt two.txt -o few.txt
err_has too_few_says 'pairs for 527 ids only, not for 1024'
same order_of_files "$(cat few.txt)" "$(cat list.txt)"

expect no_output 2 make_list one.txt
err_has no_output_says 'name the file to write with -o'
expect itself 2 make_list --force one.txt ./two.txt -o two.txt
err_has itself_says "'two.txt' is what is to be read"
same itself_untouched "$(wc -l <two.txt)" 1
expect folder 2 make_list one.txt -o .
err_has folder_says "'\\.' is a folder"
expect no_such 2 make_list one.txt none.txt -o x.txt
err_has no_such_says 'none.txt'
: >empty.txt
expect empty 2 make_list empty.txt -o x.txt
err_has empty_says 'no words'
expect empty_beside 0 make_list empty.txt one.txt -o x.txt
expect too_small 2 make_list one.txt -o y.txt --size 513
expect too_large 2 make_list one.txt -o y.txt --size 49409
expect no_text 2 make_list -o y.txt
same no_rests "$(ls *.txt | tr '\n' ' ')" 'empty.txt few.txt list.txt one.txt two.txt x.txt '

# ---- tables ----
printf 'path\tsentence\nwidest.mp4\tlow low low low low lower lower\nzzzz.mp4\tnewest newest newest newest newest newest widest widest widest\n' >table.tsv
expect column 0 make_list table.tsv --column sentence -o column.txt --size 518
same column_list "$(cat column.txt)" "$(printf '#version: 0.2\ne s\nes t</w>\nl o\ne w')"
expect no_column 2 make_list table.tsv --column caption -o y.txt
err_has no_column_says "'table.tsv' has no column 'caption'"
expect column_unclosed 2 sh -c "printf 'a\\n\"b' >open.csv; exec '$CLAVERDB' model vocabulary open.csv --column a -o y.txt"
finish
