#!/bin/sh
# Finds a browser for the tests of the pages, installs Debian's where it may, and says what to do otherwise.
set -u
for name in "${ISM_BROWSER:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian's Chromium for the tests of the pages."
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 && exit 0
fi
echo "No Chromium was found, so the tests of the pages are left out."
echo "Install it (Debian: apt-get install chromium), or name another one: ISM_BROWSER=/path/to/chrome make test"
