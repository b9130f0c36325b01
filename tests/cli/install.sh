# `make install` into a scratch directory: the program runs there, and the README's C example
# compiles against the installed header through pkg-config, shared and static, and runs.
. tests/cli/lib.sh
root="$work/root"
# The build the tests run in: the same flags, or make would build another one.
san=$(case $CLV_TEST_MODE in sanitized) echo address,undefined ;; esac)
[ "$PWD/$(make -s SAN="$san" print-build)" = "$CLV_BUILD" ] || { skip install 'this build has flags of its own'; finish; }
expect install 0 make -s SAN="$san" PREFIX="$root" install
for file in bin/claverdb include/claverdb.h lib/libclaverdb.a lib/libclaverdb.so lib/libclaverdb.so.0 \
    lib/pkgconfig/claverdb.pc share/man/man1/claverdb.1 share/bash-completion/completions/claverdb; do
    [ -s "$root/$file" ] && ok "installed_$file" || fail "installed_$file" 'is missing'
done
expect installed_runs 0 "$root/bin/claverdb" --version
version=$(sed -n 's/^claverdb //p' "$work/out")
export PKG_CONFIG_PATH="$root/lib/pkgconfig"
same pkg_config_version "$(pkg-config --modversion claverdb)" "$version"

# What is exported is claverdb's own and nothing else.
same exports "$(nm -D --defined-only "$root/lib/libclaverdb.so" | awk '$2 ~ /[TDBRV]/ && $3 !~ /^clv_/ {print $3}' | head)" ""

sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$work/example.c"
same example_is_there "$(grep -c 'int main' "$work/example.c")" 1
index_clips door-opens-a door-opens-b stone-falls-a
flags=${san:+-fsanitize=$san}
expect example_compiles 0 sh -c "cc -std=c11 -Wall -Wextra -Werror $flags '$work/example.c' -o '$work/example' \$(pkg-config --cflags --libs claverdb) -Wl,-rpath,'$root/lib'"
expect example_runs 0 "$work/example" "$work/db" "$work/in/door-opens-a.mp4"
out_has example_finds_itself '^[01]\.[0-9]{3}  .*/door-opens-a\.mp4'
same example_finds_twin "$(sed -n 2p "$work/out" | grep -c 'door-opens-b\.mp4')" 1
expect example_error 1 "$work/example" "$work/none" x
err_has example_error_says '^no database|none'

expect uninstall 0 make -s SAN="$san" PREFIX="$root" uninstall
same uninstalled "$(find "$root" ! -type d)" ""
finish
