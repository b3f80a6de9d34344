"""The Kubernetes API: reads, guarded writes, events. Credentials come as kopf finds them."""

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
import kopf

from kube.resources import API_VERSION, Kind

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""

MERGE_PATCH = "application/merge-patch+json"
CALL_SECONDS = 20.0


class ClusterError(Exception):
    """The Kubernetes API refused or could not be reached; ``status`` is 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Conflict(ClusterError):
    """Somebody else wrote first: read again."""


class Gone(ClusterError):
    """There is no such object."""


@dataclass(frozen=True)
class Place:
    """Where objects of one sort are in the API."""

    prefix: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, part: str = "") -> str:
        """The path of a list or of an object, or of an object's subresource."""
        inside = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(filter(None, (f"{self.prefix}{inside}/{self.plural}", name, part)))


DEPLOYMENTS = Place("/apis/apps/v1", "deployments")
LEASES = Place("/apis/coordination.k8s.io/v1", "leases")
PODS = Place("/api/v1", "pods")
NAMESPACES = Place("/api/v1", "namespaces")
CONFIG_MAPS = Place("/api/v1", "configmaps")
EVENTS = Place("/api/v1", "events")


def place_of(kind: Kind) -> Place:
    """Where a kind of ours is."""
    return Place(f"/apis/{API_VERSION}", kind.plural)


class Cluster:
    """Calls of the Kubernetes API. Use it as an asynchronous context manager."""

    def __init__(self) -> None:
        self._connect()

    async def __aenter__(self) -> "Cluster":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    def _connect(self) -> None:
        settings = kopf.OperatorSettings()
        info = kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(
            settings=settings
        )
        if info is None:
            raise ClusterError(
                0, "No cluster is known. Run in a pod with a service account, or set KUBECONFIG."
            )
        secure = info.server.startswith("https:")
        self._server = info.server.rstrip("/")
        self._session = aiohttp.ClientSession(
            headers=info.as_http_headers(),
            connector=aiohttp.TCPConnector(ssl=info.as_ssl_context() if secure else False),
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        )

    async def call(self, method: str, path: str, **request: Any) -> Object:
        """The parsed answer. Raises ClusterError; a used-up token is read anew once."""
        status, text = await self._send(method, path, request)
        if status == 401:
            await self._session.close()
            self._connect()
            status, text = await self._send(method, path, request)
        if status >= 400:
            kind = {404: Gone, 409: Conflict}.get(status, ClusterError)
            raise kind(status, f"{method} {path}: {status} {_message(text)}")
        answer: Object = json.loads(text)
        return answer

    async def _send(self, method: str, path: str, request: dict[str, Any]) -> tuple[int, str]:
        try:
            async with self._session.request(method, self._server + path, **request) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(0, f"{method} {path}: {type(error).__name__} {error}") from error

    async def find(self, path: str) -> Object | None:
        """The object there, None where there is none."""
        try:
            return await self.call("GET", path)
        except Gone:
            return None

    async def list(self, path: str, **selectors: str) -> list[Object]:
        """The objects there that the selectors choose."""
        answer = await self.call("GET", path, params=selectors)
        return list(answer.get("items") or [])

    async def merge(self, path: str, change: Object) -> Object:
        """Lay the change over the object (RFC 7396)."""
        headers = {"Content-Type": MERGE_PATCH}
        return await self.call("PATCH", path, data=json.dumps(change), headers=headers)

    async def put(self, path: str, body: Object) -> Object:
        """Write the object. Raises Conflict where it was changed since it was read."""
        return await self.call("PUT", path, json=body)

    async def post(self, path: str, body: Object) -> Object:
        """Make the object. Raises Conflict where the name is taken."""
        return await self.call("POST", path, json=body)

    async def delete(self, path: str, uid: str) -> None:
        """Delete exactly this object, not a later one of its name."""
        try:
            await self.call("DELETE", path, json={"preconditions": {"uid": uid}})
        except (Gone, Conflict):
            return


def _message(text: str) -> str:
    try:
        return str(json.loads(text).get("message", text))[:500]
    except (ValueError, AttributeError):
        return text[:500]
