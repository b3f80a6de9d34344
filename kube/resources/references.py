"""References to what Kubernetes keeps: a key of a ConfigMap or of a Secret, never its value."""

from typing import Annotated

import msgspec

from kube.resources.fields import text

OBJECT_NAME = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
KEY = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
"""As Kubernetes takes them: neither '.' nor what begins with '..'."""


class KeyReference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key of an object in the same namespace."""

    name: Annotated[str, text("The object's name.", 253, shortest=1, pattern=OBJECT_NAME)]
    key: Annotated[str, text("The key in its data.", 253, shortest=1, pattern=KEY)]
