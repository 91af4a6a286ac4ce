#!/usr/bin/env bash
# Fetches the libraries of the page as their authors published them, and writes web/vendor/SHA256SUMS, which a test
# checks. To take a newer version, change it here, run this, look at what changed, and commit it.
#
#   ./vendor.sh            needs curl, tar and sha256sum
set -euo pipefail
cd "$(dirname "$0")/web/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take PACKAGE VERSION FILE…: files of the package's tarball, under the package's name.
take() {
	local package=$1 version=$2 folder=${1#@}
	shift 2
	folder=${folder//\//-}
	rm -rf "$folder" "$work/package"
	mkdir "$folder"
	curl -fsS "https://registry.npmjs.org/$package/-/${package##*/}-$version.tgz" | tar -xzC "$work" package
	for file in LICENSE "$@"; do
		cp "$work/package/$file" "$folder/"
	done
	chmod 644 "$folder"/*
	printf '%s\n' "$version" >"$folder/VERSION"
}

take preact 11.2.0 dist/preact.mjs hooks/dist/hooks.mjs
take htm 3.1.1 dist/htm.mjs
take @preact/signals 2.11.4 dist/signals.mjs
take @preact/signals-core 1.14.5 dist/signals-core.mjs
take uplot 1.6.32 dist/uPlot.iife.min.js dist/uPlot.min.css

find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
