"""A small Kubernetes API server over HTTP: strict where an operator can go wrong.

    with ApiServer() as server:
        server.url, server.kubeconfig(path)

It keeps what the operator and its tests use: our five kinds, checked by their own definitions
(schema, pruning, defaults, CEL); namespaces, ConfigMaps, pods, events, Deployments and Leases. It
has resourceVersion and its conflicts, generations, status apart from spec, the scale subresource,
merge and JSON patches, finalizers, preconditions, selectors, watches with bookmarks and 410, and
the garbage collection of owned objects. Faults are switched on through ``server.faults``.
"""

import asyncio
import json
import threading
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonpatch
from aiohttp import web

from tests.kube.admission import Refused
from tests.kube.api_objects import Name, Object, Objects, Refusal, Sort, merge, selected


class ApiServer:
    """The server, in a thread of its own; use it as a context manager."""

    def __init__(self, port: int = 0) -> None:
        self.objects = Objects()
        self.faults = self.objects.faults
        self.requests: Counter[str] = Counter()
        self._port = port
        self._ending = False
        self._changed = asyncio.Event()

    def __enter__(self) -> "ApiServer":
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(10)

    def _end(self) -> None:
        self._ending = True
        self._tell_watchers()
        self._loop.stop()

    def _tell_watchers(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())

    async def _start(self) -> None:
        self._changed = asyncio.Event()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for this server."""
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "tests",
                    "clusters": [{"name": "tests", "cluster": {"server": self.url}}],
                    "users": [{"name": "tests", "user": {"token": "tests"}}],
                    "contexts": [
                        {"name": "tests", "context": {"cluster": "tests", "user": "tests"}}
                    ],
                }
            )
        )
        return path

    # ── requests ──────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests[f"{request.method} {request.path}"] += 1
        if self.objects.faults.unavailable > 0:
            self.objects.faults.unavailable -= 1
            gone = Refusal(503, "ServiceUnavailable", "the API server is away")
            return web.json_response(gone.document(), status=503)
        try:
            return await self._routed(request)
        except Refusal as refusal:
            return web.json_response(refusal.document(), status=refusal.status)
        except Refused as refused:
            return web.json_response(refused.document(), status=422)

    async def _routed(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if discovered := self._discovery(parts):
            return web.json_response(discovered)
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        group = "" if parts[0] == "api" else parts[1]
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if (
            namespace
            and namespace == self.objects.faults.forbidden
            and rest[0] in ("pods", "deployments")
        ):
            raise Refusal(403, "Forbidden", f"{rest[0]} is forbidden")
        sort = self.objects.sorts.get((group, rest[0]))
        if sort is None:
            raise Refusal(404, "NotFound", f"there is no {request.path}")
        name, part = [*rest[1:], "", ""][:2]
        if not name and request.method == "GET":
            if request.query.get("watch") in ("true", "1"):
                try:
                    return await self._watch(request, sort, namespace)
                except ConnectionError:  # whoever watched has left
                    return web.Response()
            return web.json_response(self._list(sort, namespace, request.query))
        body = await self._body(request)
        answer = self._act(request, sort, (group, sort.plural, namespace, name), part, body)
        self._tell_watchers()
        return web.json_response(answer, status=201 if request.method == "POST" else 200)

    async def _body(self, request: web.Request) -> Any:
        text = await request.text()
        return json.loads(text) if text else {}

    def _discovery(self, parts: list[str]) -> Object | None:
        groups = sorted({sort.group for sort in self.objects.sorts.values() if sort.group})
        versions = {sort.group: sort.version for sort in self.objects.sorts.values()}
        if parts == ["version"]:
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        if parts == ["apis"]:
            described = [
                {
                    "name": group,
                    "versions": [
                        {"groupVersion": f"{group}/{versions[group]}", "version": versions[group]}
                    ],
                    "preferredVersion": {
                        "groupVersion": f"{group}/{versions[group]}",
                        "version": versions[group],
                    },
                }
                for group in groups
            ]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": described}
        group = "" if parts == ["api", "v1"] else parts[1] if len(parts) == 3 else None
        if group is None or parts[0] not in ("api", "apis") or group not in (*groups, ""):
            return None
        resources = []
        for sort in self.objects.sorts.values():
            if sort.group == group:
                resources += self._resources(sort)
        version = f"{group}/{versions[group]}" if group else "v1"
        return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}

    def _resources(self, sort: Sort) -> list[Object]:
        names = sort.ours.definition["spec"]["names"] if sort.ours else {}
        one = {
            "name": sort.plural,
            "singularName": sort.kind.lower(),
            "kind": sort.kind,
            "namespaced": sort.namespaced,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            "shortNames": names.get("shortNames", []),
            "categories": names.get("categories", []),
        }
        if not sort.has_status:
            return [one]
        return [one, {**one, "name": f"{sort.plural}/status", "verbs": ["get", "patch", "update"]}]

    def _list(self, sort: Sort, namespace: str, query: Any) -> Object:
        return {
            "kind": f"{sort.kind}List",
            "apiVersion": sort.api_version,
            "metadata": {"resourceVersion": str(self.objects.store.version)},
            "items": deepcopy(self.objects.store.chosen(sort, namespace, query)),
        }

    # ── watches ───────────────────────────────────────────────────────────────────────────────────

    async def _watch(self, request: web.Request, sort: Sort, namespace: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)

        async def send(kind: str, value: Object) -> None:
            await response.write(json.dumps({"type": kind, "object": value}).encode() + b"\n")

        if self.objects.faults.expired_watches > 0:
            self.objects.faults.expired_watches -= 1
            await send("ERROR", Refusal(410, "Expired", "too old resource version").document())
            return response
        seen = int(request.query.get("resourceVersion") or 0)
        while not self._ending:
            for version, name, kind, value in list(self.objects.store.events):
                mine = name[:2] == (sort.group, sort.plural) and namespace in ("", name[2])
                if version > seen and mine and selected(value, request.query):
                    for each in self._sent(name, kind, value):
                        await send(*each)
            seen = max(seen, self.objects.store.version)
            if request.query.get("allowWatchBookmarks") == "true":
                about = {"kind": sort.kind, "apiVersion": sort.api_version}
                await send("BOOKMARK", {**about, "metadata": {"resourceVersion": str(seen)}})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 5)
        return response

    def _sent(self, name: Name, kind: str, value: Object) -> list[tuple[str, Object]]:
        before = self.objects.store.former.get(name, value)
        self.objects.store.former[name] = value
        if not self.objects.faults.repeat_events or kind == "DELETED":
            return [(kind, value)]
        return [(kind, value), (kind, value), ("MODIFIED", before)]

    # ── writes ────────────────────────────────────────────────────────────────────────────────────

    def _act(self, request: web.Request, sort: Sort, name: Name, part: str, body: Any) -> Object:
        strict = request.query.get("fieldValidation") == "Strict"
        if strict and sort.ours and (unknown := sort.ours.unknown(body)):
            told = ", ".join(f'unknown field "{each}"' for each in unknown)
            raise Refusal(400, "BadRequest", f"strict decoding error: {told}")
        if request.method == "POST":
            return self.objects.create(sort, name[2], body)
        found = self.objects.store.objects.get(name)
        if found is None:
            raise Refusal(404, "NotFound", f'{sort.plural} "{name[3]}" not found')
        if request.method == "GET":
            return deepcopy(found if part != "scale" else self.objects.scale(found))
        if request.method == "DELETE":
            return self.objects.delete(name, found, body)
        if sort.ours and self.objects.faults.conflicts > 0:
            self.objects.faults.conflicts -= 1
            raise Refusal(409, "Conflict", "the object has been modified (on purpose)")
        if part == "scale":
            replicas = body["spec"]["replicas"]
            changed = {**found, "spec": {**found["spec"], "replicas": replicas}}
            return self.objects.scale(self.objects.update(sort, name, found, changed, ""))
        if request.method == "PATCH":
            body = self._patched(request, deepcopy(found), body)
        return self.objects.update(sort, name, found, body, part)

    def _patched(self, request: web.Request, found: Object, change: Any) -> Object:
        kind = request.content_type
        if kind == "application/json-patch+json":
            try:
                patched: Object = jsonpatch.apply_patch(found, change)
            except jsonpatch.JsonPatchException as error:
                raise Refusal(422, "Invalid", str(error)) from error
            return patched
        if kind != "application/merge-patch+json":
            raise Refusal(415, "UnsupportedMediaType", f"{kind} is not taken")
        merged: Object = merge(found, change)
        return merged
