#!/usr/bin/env bash
# make deb: Debian packages of an arm64 kernel with the series, linux-image and
# linux-headers, and hvo-tools, in out/deb/; from Debian's own configuration for clouds,
# or that of a host, CONFIG=FILE.
. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-}
began=$SECONDS
lock
deps kernel deb
mkdir -p "$build/log"
config=$build/deb.config
# Before anything that takes long.
[ -z "$CONFIG" ] || deb_config_from "$CONFIG" "$config"
source_get deb
tree_update
[ -n "$(patches_dir)" ] || die $E_USAGE "There is no series of patches yet"
from=$CONFIG
if [ -z "$from" ]; then
	deb_config_default "$config"
	from="Debian's cloud-arm64"
fi

dest=$(deb_dir deb)
say "# make deb: $src_name, configuration: $from"
deb_kernel deb "$config" "$dest"
deb_tools "$dest"
for f in "$dest"/*.deb; do
	say "$(rel "$f"): $(du -m "$f" | cut -f 1) MiB"
done
say "Install them with: apt-get install ./linux-image-*.deb ./hvo-tools_*.deb"
say "PASS ($((SECONDS - began)) s)"
[ -n "$CONFIG" ] || record deb $((SECONDS - began))
