"""The operator as a process, and the resources that tests give it."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import httpx

from daef_site.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
Object = dict[str, Any]
OURS = "/apis/daef.io/v1alpha1"


class Api:
    """A Kubernetes API, as a person with kubectl uses it."""

    def __init__(
        self,
        url: str,
        kubeconfig: Path,
        opener: Any = None,
        token: str = "tests",
        lease_namespace: str = "default",
    ) -> None:
        self.url, self.kubeconfig, self._token = url, kubeconfig, token
        self.lease_namespace = lease_namespace
        self._opener = opener or urllib.request.build_opener()

    def call(self, method: str, path: str, body: Object | None = None, kind: str = "") -> Any:
        """The parsed answer; a refusal's is raised as urllib does."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = kind or "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with self._opener.open(request, timeout=20) as answer:
            return json.loads(answer.read())

    def make(self, resource: Object, namespace: str = "default") -> Object:
        """Create an object of our group."""
        made: Object = self.call("POST", f"{self._list(resource['kind'], namespace)}", resource)
        return made

    def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """The object, None where there is none."""
        try:
            found: Object = self.call("GET", f"{self._list(kind, namespace)}/{name}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return found

    def all(self, kind: str, namespace: str = "default") -> list[Object]:
        """All of a kind."""
        return list(self.call("GET", self._list(kind, namespace))["items"])

    def change(self, kind: str, name: str, change: Object, namespace: str = "default") -> Object:
        """Lay a change over the object."""
        path, kind_of_patch = (
            f"{self._list(kind, namespace)}/{name}",
            "application/merge-patch+json",
        )
        changed: Object = self.call("PATCH", path, change, kind_of_patch)
        return changed

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete it, in the background."""
        self.call("DELETE", f"{self._list(kind, namespace)}/{name}")

    def condition(self, kind: str, name: str, which: str) -> Object:
        """The condition of this type, {} where there is none."""
        found = (self.get(kind, name) or {}).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == which), {})

    def events(self, name: str, namespace: str = "default") -> list[str]:
        """Reasons of the events about the object."""
        return [
            each["reason"]
            for each in self.call("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
            if each["involvedObject"]["name"] == name
        ]

    @staticmethod
    def _list(kind: str, namespace: str) -> str:
        if kind in ("ExecutionPolicy", "TenantQuota"):
            return f"{OURS}/{PLURALS[kind]}"
        base = {"ConfigMap": "/api/v1", "Pod": "/api/v1", "Deployment": "/apis/apps/v1"}
        return f"{base.get(kind, OURS)}/namespaces/{namespace}/{PLURALS[kind]}"


PLURALS = {
    "AIJob": "aijobs",
    "AIWorkerPool": "aiworkerpools",
    "ModelEndpoint": "modelendpoints",
    "ExecutionPolicy": "executionpolicies",
    "TenantQuota": "tenantquotas",
    "ConfigMap": "configmaps",
    "Pod": "pods",
    "Deployment": "deployments",
}


class RunningOperator:
    """``python -m kube`` as a process."""

    def __init__(self, api: Api, fabric_url: str, folder: Path, **variables: str) -> None:
        self.port = free_port()
        inherited = {name: text for name, text in os.environ.items() if name[:5] != "DAEF_"}
        environment = {
            **inherited,
            "KUBECONFIG": str(api.kubeconfig),
            "DAEF_URL": fabric_url,
            "DAEF_CONTROL_PLANE": "daef-control-plane.daef-system.svc:8081",
            "DAEF_AGENT_IMAGE": "registry.example.com/daef:1",
            "DAEF_OPERATOR_LEASE_SECONDS": "2",
            "DAEF_OPERATOR_NAMESPACE": api.lease_namespace,
            "DAEF_PROBE_ADDR": f"127.0.0.1:{self.port}",
            **variables,
        }
        self.output = folder / f"operator-{self.port}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kube"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        """Its log."""
        return self.output.read_text()

    def probe(self, path: str) -> tuple[int, str]:
        """What it answers there; status 0 without an answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    def leads(self) -> bool:
        """Whether it says that it leads."""
        return "daef_operator_leader 1.0" in self.probe("/metrics")[1]

    def kill(self) -> None:
        """End it with -9."""
        self.process.kill()
        self.process.wait(10)

    def end(self) -> int:
        """Tell it to stop; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def config_map(name: str, **data: str) -> Object:
    """A ConfigMap; __ in a key stands for a dot."""
    texts = {key.replace("__", "."): text for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": texts}


def echo_tasks(name: str, count: int = 1, **parameters: Any) -> Object:
    """A ConfigMap with tasks that return their input."""
    tasks = [
        {"name": f"t-{number}", "kind": "echo", "input": number, "parameters": parameters}
        for number in range(count)
    ]
    return config_map(name, tasks__json=json.dumps(tasks))


def echo_job(name: str, tasks: str = "tasks", **spec: Any) -> Object:
    """An AIJob that runs a ConfigMap's tasks."""
    reference = {"configMapKeyRef": {"name": tasks, "key": "tasks.json"}}
    return resource("AIJob", name, type="Pipeline", tasksFrom=reference, **spec)


def resource(kind: str, name: str, **spec: Any) -> Object:
    """A resource of ours."""
    return {
        "apiVersion": "daef.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def is_complete(api: Api, name: str) -> bool:
    return api.condition("AIJob", name, "Complete").get("status") == "True"


def status(api: Api, kind: str, name: str) -> dict[str, Any]:
    return dict((api.get(kind, name) or {}).get("status", {}))


def jobs_of(fabric: Any, name: str) -> list[dict[str, Any]]:
    """The fabric's jobs that were made for the resource of this name."""
    answer = httpx.get(f"http://{fabric.http}/v1/jobs", params={"label": f"daef.io/name={name}"})
    return list(answer.raise_for_status().json()["items"])


def answers(api: Api, name: str) -> bool:
    """Whether it is complete, as far as the API answers."""
    try:
        return is_complete(api, name)
    except urllib.error.HTTPError:
        return False
