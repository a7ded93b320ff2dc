#!/bin/sh
# Makes sure that the real servers which the tests run against are there. Installs what is missing where it may
# (root on Debian or Ubuntu), otherwise says what is missing and goes on: the tests that need it will say so again.
PATH="$PATH:/usr/sbin:/sbin" # Debian keeps servers there

missing=
need() { # need PACKAGE COMMAND
  command -v "$2" >/dev/null || missing="$missing $1"
}
need redis-server redis-server
need redis-sentinel redis-sentinel
need mosquitto mosquitto
need mosquitto-clients mosquitto_pub
need haproxy haproxy
need nginx nginx
need iproute2 ip
need nftables nft
need curl curl
need openssl openssl
need gnutls-bin gnutls-cli
need prometheus promtool # without the service
need chromium chromium
stream=/modules/ngx_stream_module.so
[ -e "/usr/lib/nginx$stream" ] || [ -e "/usr/lib64/nginx$stream" ] || missing="$missing libnginx-mod-stream"

ls /usr/lib/*/libwolfssl.so.* /usr/lib*/libwolfssl.so.* 2>/dev/null | grep -q . || missing="$missing libwolfssl-dev"

[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Missing for the tests:$missing" >&2
  echo "On Debian or Ubuntu: sudo apt-get install --no-install-recommends$missing" >&2
  exit 0
fi

echo "Installing for the tests:$missing"
guard=/usr/sbin/policy-rc.d # 101 forbids packages to start their services; the tests start their own
if [ ! -e "$guard" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod +x "$guard"
  trap 'rm -f "$guard"' EXIT
  trap 'exit 130' INT TERM
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # a list of packages
if ! { apt-get -qq update && apt-get -qq -y --no-install-recommends install $missing; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "Could not install:$missing. Tests that need them will fail." >&2
fi
rm -f "$log"
exit 0
