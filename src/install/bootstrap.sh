# Sourced by ./quickstart and ./test: gets the pinned Node and the npm packages into node_modules, and nothing else.
# POSIX sh. Sets: root (this clone), node (the pinned Node). Everything that is downloaded is checked against package-lock.json.

NPM_VERSION=12.2.0
NPM_SHA512=ZsJjKpTnlmSXOLLXiU1xDCzC4Wlok4IwZmh/aw2KUuXytU7q6qMv/cUT7MoeSf95Slwuw/lRXYefGzGCspHPNQ==

fail() {
  echo "$1" >&2
  exit 1
}

need_linux() {
  [ "$(uname -s)" = Linux ] || fail "Cannot go on: Manx runs on Linux only, this is $(uname -s)."
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) fail "Cannot go on: there is no pinned Node for $(uname -m), only for x86_64 and aarch64." ;;
  esac
  node=$root/node_modules/node-linux-$arch/bin/node
}

need_root() {
  [ "$(id -u)" = 0 ] || fail "Cannot go on: $1 needs root. Run it again with sudo."
}

need_apt() {
  command -v apt-get >/dev/null || fail "Cannot go on: there is no apt-get. Debian 12 and 13 and Ubuntu 24.04 are supported."
}

# apt_install PACKAGE WHY
apt_install() {
  need_apt
  echo "$1: installing, $2"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$1" >/dev/null; } ||
    fail "Cannot go on: apt-get could not install $1 (see above)."
}

# Node is linked with it, and a small Debian 13 comes without.
has_libatomic() {
  PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q 'libatomic\.so\.1 '
}

# packages_complete [--dev]: whether node_modules is what package-lock.json says.
packages_complete() {
  [ -x "$node" ] && "$node" "$root/src/install/packages.ts" "$@" >/dev/null 2>&1
}

# get_packages [--dev]
get_packages() {
  packages_complete "$@" && return
  omit=--omit=dev
  [ "${1:-}" = --dev ] && omit=--include=dev
  has_libatomic || apt_install libatomic1 "a library that Node needs"
  echo "npm packages: downloading into $root/node_modules (Node included, about 250 MB)"
  if has_npm; then
    run_npm npm "$omit"
  else
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    get_tools "$tools"
    PATH=$tools/node/bin:$PATH run_npm "$tools/npm/bin/npm-cli.js" "$omit"
    rm -rf "$tools"
    trap - EXIT
  fi
  packages_complete "$@" || fail "Cannot go on: npm ended, but node_modules is not what package-lock.json says."
  echo "npm packages: done"
}

# npm before 7 does not read this package-lock.json.
has_npm() {
  command -v npm >/dev/null && [ "$(npm --version 2>/dev/null | cut -d. -f1)" -ge 7 ] 2>/dev/null
}

run_npm() {
  (cd "$root" && "$1" ci --ignore-scripts "$2" --no-audit --no-fund --no-update-notifier --no-progress --loglevel=error </dev/null) ||
    fail "Cannot go on: npm could not install the packages (see above). Is the network there?"
}

# Node and npm from the registry's archives, without a package of the distribution: its npm would bring hundreds.
get_tools() {
  [ -e /etc/ssl/certs/ca-certificates.crt ] || apt_install ca-certificates "to check the registry's certificate"
  get_node "$1"
  get_archive npm "$NPM_VERSION" "$NPM_SHA512" "$1/npm"
}

# get_node FOLDER: the pinned Node at FOLDER/node/bin/node.
get_node() {
  name=node-linux-$arch
  entry=$(grep -A 3 "\"node_modules/$name\": {" "$root/package-lock.json")
  version=$(echo "$entry" | sed -n 's/.*"version": "\([^"]*\)".*/\1/p')
  sha512=$(echo "$entry" | sed -n 's/.*"integrity": "sha512-\([^"]*\)".*/\1/p')
  get_archive "$name" "$version" "$sha512" "$1/node"
}

# lend_libatomic FOLDER: unpacked there for this process and its children, where the machine is to stay as it is.
lend_libatomic() {
  mkdir -p "$1"
  (cd "$1" && apt-get -qq -o APT::Sandbox::User=root download libatomic1 && dpkg-deb -x libatomic1_*.deb .) ||
    fail "Cannot go on: apt-get could not download libatomic1, which Node needs. Have the package lists been read (apt-get update)?"
  LD_LIBRARY_PATH=$(dirname "$1"/usr/lib/*/libatomic.so.1)
  export LD_LIBRARY_PATH
}

# get_archive NAME VERSION SHA512(base64) FOLDER
get_archive() {
  registry=${npm_config_registry:-${NPM_CONFIG_REGISTRY:-https://registry.npmjs.org}}
  hex=$(printf %s "$3" | base64 -d | od -An -tx1 -v | tr -d ' \n')
  mkdir -p "$4"
  # The download helper drops its rights where it can, and says so at length where it cannot.
  /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root download-file \
    "${registry%/}/$1/-/$1-$2.tgz" "$4.tgz" "SHA512:$hex" >/dev/null ||
    fail "Cannot go on: $1 $2 could not be downloaded from ${registry%/}. Is the network there?"
  tar -xzf "$4.tgz" -C "$4" --strip-components=1
  rm -f "$4.tgz"
}
