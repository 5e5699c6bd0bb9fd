#!/bin/sh
# Refresh the vendored scripts: ./update.sh [KATEX_VERSION [IFRAME_WORKER_VERSION]]. Needs npm; readers of the site do not.
set -eu
katex=${1:-0.19.1}
worker=${2:-1.0.4}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "katex@$katex" "iframe-worker@$worker" >/dev/null
mkdir k w
tar xzf "katex-$katex.tgz" -C k
tar xzf "iframe-worker-$worker.tgz" -C w
rm -rf "$here/katex" "$here/iframe-worker"
mkdir -p "$here/katex/fonts" "$here/iframe-worker"
cp k/package/dist/katex.min.js k/package/dist/contrib/auto-render.min.js k/package/LICENSE "$here/katex/"
cp k/package/dist/fonts/*.woff2 "$here/katex/fonts/"
# Browsers that can run the site all read woff2; the other font formats are dropped from the sheet.
sed 's/,url([^)]*\.woff) format("woff")//g; s/,url([^)]*\.ttf) format("truetype")//g' \
  k/package/dist/katex.min.css >"$here/katex/katex.min.css"
cp w/package/shim/index.js "$here/iframe-worker/shim.js"
cp w/package/LICENSE "$here/iframe-worker/"
cd "$here"
printf 'katex %s (MIT)\niframe-worker %s (MIT)\n' "$katex" "$worker" >VERSIONS
find katex iframe-worker -type f | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
