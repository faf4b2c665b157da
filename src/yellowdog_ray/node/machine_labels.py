"""Ray's labels of the machine that a node has got: their names, their rules, and the lines of a task script. Text only.

Ray takes region, zone and market type from variables of the environment, as its default labels. A label of the YAML or
of `ray start --labels` has precedence. It detects accelerators by itself.
"""

from __future__ import annotations

import re

from yellowdog_ray.node import variables
from yellowdog_ray.node.lines import with_lines

MARKET = "ray.io/market-type"
REGION = "ray.io/availability-region"
ZONE = "ray.io/availability-zone"
ACCELERATOR = "ray.io/accelerator-type"
"""Ray's names (`_raylet.pyx` of Ray 2.50 to 2.60)."""

SPOT, ON_DEMAND = "spot", "on-demand"
"""Ray's values of `MARKET`."""

VARIABLES = {
    MARKET: variables.NODE_MARKET_TYPE,
    REGION: variables.NODE_REGION,
    ZONE: variables.NODE_ZONE,
}
"""The variable from which Ray takes each label."""

METADATA_ADDRESS = ("169.254.169.254", 80)
"""Where a machine at AWS, Google Cloud or Azure reads about itself, without a name server."""

_VALUE = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_METADATA_SECONDS = 1


def label_value(text: str | None) -> str | None:
    """A text as a label's value; None if Ray would refuse it."""
    return text if text and re.fullmatch(_VALUE, text) else None


def zone_label(region: str | None, zone: str | None) -> str | None:
    """A zone as a label's value. Azure numbers the zones of each region."""
    if zone and zone.isdigit():
        return label_value(f"{region}-{zone}") if region else None
    return label_value(zone)


def with_machine_labels(script: str, address: tuple[str, int] = METADATA_ADDRESS) -> str:
    """A task script with the lines in front that set the variables of the machine's labels.

    The agent gives the region. The cloud gives zone and market type where the template does not determine them. The
    lines wait a second at most for an answer, and fail for nothing.

    Args:
        script: the script.
        address: host and port of the cloud's service; another one in tests.
    """
    return with_lines(script, _LINES.replace("HOST", address[0]).replace("PORT", str(address[1])))


_LINES = f"""\
# Labels of the machine, by RayDog: Ray reads these variables (docs/configuration.md).
raydog_ask() {{
  timeout {_METADATA_SECONDS} bash -c 'exec 3<>/dev/tcp/HOST/PORT || exit
    printf "%s %s HTTP/1.0\\r\\nHost: HOST\\r\\nContent-Length: 0\\r\\n%s\\r\\n\\r\\n" "$@" >&3
    cat <&3' - "$@" 2>/dev/null |
    tr -d '\\r' | awk 'NR == 1 {{ ok = $2 == 200 }} ok && body {{ printf "%s", $0 }} /^$/ {{ body = 1 }}
      END {{ exit !ok }}'
}}
raydog_machine() {{
  local token azure='?api-version=2021-02-01&format=text'
  case "${{{variables.PROVIDER}:-}}" in
    AWS)
      token=$(raydog_ask PUT /latest/api/token 'X-aws-ec2-metadata-token-ttl-seconds: 60') || return
      zone=$(raydog_ask GET /latest/meta-data/placement/availability-zone "X-aws-ec2-metadata-token: $token")
      market=$(raydog_ask GET /latest/meta-data/instance-life-cycle "X-aws-ec2-metadata-token: $token") ;;
    GOOGLE)
      zone=$(raydog_ask GET /computeMetadata/v1/instance/zone 'Metadata-Flavor: Google') || return
      market=$(raydog_ask GET /computeMetadata/v1/instance/scheduling/preemptible 'Metadata-Flavor: Google') ;;
    AZURE)
      zone=$(raydog_ask GET "/metadata/instance/compute/zone$azure" 'Metadata: true') || return
      market=$(raydog_ask GET "/metadata/instance/compute/priority$azure" 'Metadata: true') &&
        market="${{market:-Regular}}"
      [ -z "$zone" ] || zone="${{{variables.REGION}:-}}-$zone" ;;
  esac
}}
raydog_label() {{ ! [[ "$2" =~ ^{_VALUE}$ ]] || export "$1=$2"; }}
raydog_label {variables.NODE_REGION} "${{{variables.REGION}:-}}"
if [ -z "${{{variables.NODE_MARKET_TYPE}:-}}" ] || [ -z "${{{variables.NODE_ZONE}:-}}" ]; then
  zone='' market=''
  raydog_machine || :
  [ -n "${{{variables.NODE_ZONE}:-}}" ] || raydog_label {variables.NODE_ZONE} "${{zone##*/}}"
  case "${{{variables.NODE_MARKET_TYPE}:-$market}}" in
    spot | Spot | Low | TRUE) export {variables.NODE_MARKET_TYPE}={SPOT} ;;
    on-demand | scheduled | capacity-block | Regular | FALSE) export {variables.NODE_MARKET_TYPE}={ON_DEMAND} ;;
  esac
  unset zone market
fi
unset -f raydog_ask raydog_machine raydog_label
"""
