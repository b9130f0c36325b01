#!/bin/sh
# Makes the signed files beside it with minisign 0.11 and two new keys, whose secret halves are
# thrown away. Not part of the build: run it only to replace all of them.
set -eu
cd "$(dirname "$0")"
secret=$(mktemp -d)
trap 'rm -rf "$secret"' EXIT
rm -f ./*.pub ./*.minisig
minisign -G -W -f -p signer.pub -s "$secret/signer" >/dev/null
minisign -G -W -f -p other.pub -s "$secret/other" >/dev/null
echo 'A file that was signed by its digest.' >prehashed.txt
echo 'A file that was signed as it is.' >legacy.txt
: >empty.txt
minisign -S -s "$secret/signer" -c 'by the signer of the tests' -t 'the trusted comment of prehashed.txt' -m prehashed.txt >/dev/null
minisign -S -l -s "$secret/signer" -c 'by the signer of the tests' -t 'the trusted comment of legacy.txt' -m legacy.txt >/dev/null
minisign -S -l -s "$secret/signer" -c 'by the signer of the tests' -t 'the trusted comment of empty.txt' -m empty.txt >/dev/null
