# shellcheck shell=bash
# Everything the commands in scripts/ share. Each command starts with:
#	. "$(dirname "$0")/lib.sh"
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/.build
out=$top/out

. "$(dirname "${BASH_SOURCE[0]}")/lib/base.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/checks.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/deps.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/tree.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/kernel.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/guest.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/boot.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/newer.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/herd.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/deb.sh"
. "$(dirname "${BASH_SOURCE[0]}")/lib/bench.sh"

# The kernel that is built upon, where KSRC= does not say it.
bases=(6.12 7.3)
default_base=${bases[0]}
[ -z "${BASE:-}" ] || one_of BASE "$BASE" "${bases[@]}"
base=${BASE:-$default_base}	# source_get() looks at KSRC
