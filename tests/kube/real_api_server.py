"""A real kube-apiserver with its etcd, from the folder that ``KUBEBUILDER_ASSETS`` names.

    with running(folder) as cluster:
        cluster.kubectl("apply", "-f", "config/crd/bases")

Both listen on loopback, keep nothing and end with the block. There are no controllers and no nodes:
objects are stored, checked, watched and deleted; nothing makes pods or collects garbage.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from daef_site.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "the-administrator-of-the-tests"
START_SECONDS = 120
ASSETS = "KUBEBUILDER_ASSETS"


class ServerDidNotStart(Exception):
    """A server ended or did not answer in time; the message has the end of its log."""


@dataclass(frozen=True)
class Cluster:
    """Where the API server is, and how to call it as an administrator."""

    url: str
    authority: Path
    kubeconfig: Path
    program: str
    token: str = TOKEN

    def kubectl(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl in the repository; ``text`` is its standard input."""
        return subprocess.run(
            [self.program, "--kubeconfig", str(self.kubeconfig), *arguments],
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def operators_kubeconfig(self, file: Path, namespace: str) -> Path:
        """Write how the operator's own account calls, with the rights that the manifests give it.

        It may run agents in ``namespace`` besides.
        """
        binding = ("create", "rolebinding", "daef-operator", "-n", namespace)
        account = "--serviceaccount=daef-system:daef-operator"
        for command in (
            ("apply", "--server-side", "-f", "config/default/namespace.yaml"),
            ("apply", "--server-side", "-k", "config/rbac"),
            (*binding, "--clusterrole=daef-operator-namespace", account),
        ):
            done = self.kubectl(*command)
            assert done.returncode == 0, done.stderr
        token = self.kubectl("create", "token", "daef-operator", "-n", "daef-system").stdout.strip()
        file.write_text(json.dumps(_kubeconfig(self.url, self.authority, token)))
        return file

    def get(self, path: str) -> Any:
        """What the API server answers there. Raises OSError when it refuses or is away."""
        with self._asked("GET", path, None) as answer:
            return json.loads(answer.read())

    def send(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of an answer to a JSON body, also of a refusal."""
        try:
            with self._asked(method, path, body) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def is_ready(self) -> bool:
        """Whether it answers, and has made the namespaces it begins with."""
        try:
            self._asked("GET", "/readyz", None).close()
            return bool(self.get("/api/v1/namespaces/default"))
        except OSError:
            return False

    def _asked(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        return urllib.request.urlopen(request, timeout=30, context=_trusting(self.authority))


@cache
def _trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def kubectl_program(folder: Path) -> str:
    """The kubectl beside the servers, else that of the requirements for tests."""
    places = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = shutil.which("kubectl", path=places)
    assert found, "kubectl is missing: make setup-dev installs it"
    return found


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """etcd and kube-apiserver, from this folder. Raises ServerDidNotStart."""
    with ExitStack() as ends:
        data = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="daef-kube-")))
        etcd = _start_etcd(folder, data, ends)
        url = _start_api_server(folder, data, etcd, ends)
        kubeconfig = data / "kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(url, data / "certificates/apiserver.crt")))
        yield Cluster(url, data / "certificates/apiserver.crt", kubeconfig, kubectl_program(folder))


def _start_etcd(folder: Path, data: Path, ends: ExitStack) -> str:
    clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        *(str(folder / "etcd"), "--data-dir", str(data / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", f"default={peers}", "--log-level", "error"),
    ]
    server = _start(command, data / "etcd.log", ends)
    _wait(lambda: _answers(f"{clients}/health"), server, data / "etcd.log")
    return clients


def _start_api_server(folder: Path, data: Path, etcd: str, ends: ExitStack) -> str:
    port = free_port()
    url, key = f"https://127.0.0.1:{port}", data / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens = data / "tokens.csv"
    tokens.write_text(f"{TOKEN},administrator,administrator,system:masters\n")
    command = [
        *(str(folder / "kube-apiserver"), "--etcd-servers", etcd),
        *("--bind-address", "127.0.0.1", "--secure-port", str(port)),
        *("--advertise-address", "127.0.0.1", "--service-cluster-ip-range", "10.0.0.0/24"),
        *("--cert-dir", str(data / "certificates"), "--token-auth-file", str(tokens)),
        *("--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount"),
        *("--service-account-issuer", url, "--service-account-key-file", str(key)),
        *("--service-account-signing-key-file", str(key), "--endpoint-reconciler-type", "none"),
    ]
    server = _start(command, data / "apiserver.log", ends)
    authority = data / "certificates/apiserver.crt"

    cluster = Cluster(url, authority, data / "kubeconfig", "kubectl")
    _wait(lambda: authority.exists() and cluster.is_ready(), server, data / "apiserver.log")
    return url


def _kubeconfig(url: str, authority: Path, token: str = TOKEN) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [
            {"name": "tests", "cluster": {"server": url, "certificate-authority": str(authority)}}
        ],
        "users": [{"name": "administrator", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "administrator"}}],
    }


def _start(command: list[str], log: Path, ends: ExitStack) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    ends.callback(_stop, server)
    return server


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _wait(ready: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if server.poll() is not None or time.monotonic() > deadline:
            end = log.read_text(errors="replace")[-2000:]
            raise ServerDidNotStart(f"{server.args!r}: {end}")
        time.sleep(0.1)
