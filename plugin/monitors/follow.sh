#!/bin/sh
# Prints what the server of this Claude Code appends to a file, for as long as that Claude Code lives.
#
# follow.sh DIRECTORY. The file is DIRECTORY/PID@HOST, by the pid of Claude Code; its first line, which is not printed,
# is the pid of whoever reads it. An end of this script, for whatever reason, wakes the model, and is for good: so
# nothing that goes wrong here may end it.
claude=${CLAUDE_PID:-$PPID}
directory=$1
host=$(uname -n)
file=$directory/$claude@$host

umask 077
mkdir -p "$directory" 2>/dev/null
for old in "$directory"/*@"$host" "$directory"/*@"$host".cursor; do
  pid=${old##*/}
  kill -0 "${pid%%@*}" 2>/dev/null || rm -f "$old"
done
rm -f "$file" "$file.cursor"
{ echo "$$" >"$file"; } 2>/dev/null

# GNU's tail looks after the pid itself, in two megabytes; others need this shell to do it.
if tail --pid="$$" -n 0 /dev/null >/dev/null 2>&1; then
  exec tail -n +2 -F --pid="$claude" "$file" 2>/dev/null
fi
tail -n +2 -F "$file" 2>/dev/null &
follower=$!
trap 'kill "$follower" 2>/dev/null' EXIT
trap 'exit 0' HUP INT TERM
while kill -0 "$claude" 2>/dev/null; do sleep 2; done
