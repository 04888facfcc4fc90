#!/bin/sh
# Becomes the server: that of the checkout which this plugin lies in, else the one on the PATH. It must become it, not
# start it: the server knows the monitor of its session by having the same parent.
checkout=$(dirname -- "$0")/../../.venv/bin/claudine-mcp
[ -x "$checkout" ] && exec "$checkout"
command -v claudine-mcp >/dev/null && exec claudine-mcp
echo "claudine-mcp is neither in $checkout nor on the PATH; the plugin's README.md says how to install it" >&2
exit 127
