"""``ModelEndpoint``: where models answer, and for what price."""

from typing import Annotated, ClassVar, Literal

import msgspec

from kube.resources.conditions import Condition, ready
from kube.resources.fields import Rule, flag, in_rest, items, lower_case, number, part, text, word

MOST_PRICE = 1_000_000_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What tokens cost."""

    input_micros_per_million_tokens: Annotated[
        int,
        number(
            "Millionths of a US dollar for a million tokens read.",
            0,
            MOST_PRICE,
            in_rest("input_price"),
        ),
    ] = 0
    output_micros_per_million_tokens: Annotated[
        int,
        number(
            "Millionths of a US dollar for a million tokens written.",
            0,
            MOST_PRICE,
            in_rest("output_price"),
        ),
    ] = 0


class ModelEndpointSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The endpoint of the resource's name."""

    rules: ClassVar = (
        Rule(
            "self.backend != 'OpenAI' || has(self.url)",
            "spec.url is needed where spec.backend is OpenAI",
            ".url",
        ),
        Rule(
            "self.backend != 'Embedded' || !has(self.url)",
            "spec.url must be left out where spec.backend is Embedded: its models run in agents",
            ".url",
        ),
        Rule(
            "self.backend != 'Embedded' || !has(self.keyName)",
            "spec.keyName must be left out where spec.backend is Embedded: its models need no key",
            ".keyName",
        ),
    )

    backend: Annotated[
        Literal["OpenAI", "Embedded"],
        word(
            "OpenAI: anything that speaks OpenAI's protocol at spec.url. Embedded: agents run the "
            "models themselves.",
            lower_case("backend"),
        ),
    ]
    models: Annotated[
        list[Annotated[str, text("A model's name.", 200, shortest=1)]],
        items(
            "The models that answer there.", 100, least=1, kind="set", rest=in_rest("model_names")
        ),
    ]
    url: (
        Annotated[
            str,
            text(
                "The protocol's base: https://models.example.com/v1, without user and password.",
                500,
                pattern=r"^https?://[^@\s/:?#]+(:[0-9]{1,5})?(/[^@\s]*)?$",
                rest=in_rest("base_url"),
            ),
        ]
        | None
    ) = None
    location: Annotated[
        str,
        text(
            "Where data sent there goes; policies allow locations by this name.",
            63,
            shortest=1,
            rest=in_rest("location"),
        ),
    ] = "local"
    price: Annotated[Price, part("What tokens cost there.")] = Price()
    key_name: (
        Annotated[
            str,
            text(
                "Agents send the key that they have as DAEF_MODEL_KEY_<KEYNAME>; see modelKeys of "
                "AIWorkerPool.",
                63,
                shortest=1,
                pattern=r"^[A-Za-z0-9_-]+$",
                rest=in_rest("key_name"),
            ),
        ]
        | None
    ) = None
    timeout_seconds: Annotated[
        int, number("Seconds that a call may take.", 1, 3_600, in_rest("timeout_seconds"))
    ] = 60
    enabled: Annotated[
        bool, flag("Whether plans may use it. It is switched off when deleted.", in_rest("enabled"))
    ] = True


class DeclaredStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whether the fabric has it."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    observed_generation: Annotated[
        int, number("The generation of the spec that the operator acted upon.", 0, 2**53)
    ] = 0
    conditions: Annotated[
        list[Condition], items("What holds of it.", 8, kind="map", key="type")
    ] = []


ENDPOINT_CONDITIONS = (
    ready(
        "The fabric has the endpoint as the spec says, and plans may use it.",
        Disabled="The fabric has it, and spec.enabled is false.",
    ),
)
