"""``python -m kube``: the operator. Settings are environment variables."""

import asyncio
import logging
import sys

from client.errors import Usage
from kube.cluster import Cluster, ClusterError
from kube.fabric import Fabric
from kube.operator import Operator
from kube.settings import OperatorSettings, WrongSetting, load


async def operate(settings: OperatorSettings) -> int:
    """Run the operator to its end."""
    fabric = Fabric()
    try:
        async with Cluster() as cluster:
            return await Operator(settings, cluster, fabric).run()
    finally:
        fabric.close()


def main() -> int:
    """The exit status: 0 after a signal, 1 where the Lease was lost, 2 where it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "kopf", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        return asyncio.run(operate(load()))
    except (WrongSetting, Usage, ClusterError) as error:
        print(f"operator: {error}", file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main())
