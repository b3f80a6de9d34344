"""``AIJob``: the parts of what is to be done: sources, parameters, budget."""

from typing import Annotated, ClassVar

import msgspec

from kube.resources.fields import Rule, dollars, hundredth, in_rest, number, part, text
from kube.resources.references import KeyReference


class DocumentsSource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a job's documents are."""

    rules: ClassVar = (
        Rule(
            "has(self.configMapKeyRef) != has(self.fileID)",
            "documentsFrom needs either configMapKeyRef or fileID, and not both",
        ),
    )

    config_map_key_ref: (
        Annotated[
            KeyReference,
            part(
                "A key of a ConfigMap in the job's namespace. Its ending says what it holds: .csv "
                "a row per document with a header, .jsonl a text or {id, text} per line, .json a "
                "list of them, .txt one document."
            ),
        ]
        | None
    ) = None
    file_id: (
        Annotated[
            str,
            text(
                "A file of the tenant, uploaded to /v1/files.",
                37,
                pattern="^file-[0-9a-f]{32}$",
                rest=in_rest("file_id"),
            ),
        ]
        | None
    ) = msgspec.field(default=None, name="fileID")


class WorkSource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a job's requests or tasks are."""

    config_map_key_ref: Annotated[
        KeyReference,
        part(
            "A key of a ConfigMap in the job's namespace: a JSON list, or JSON lines where the "
            "key ends in .jsonl."
        ),
    ]


class Parameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Settings of a job that its type knows."""

    max_tokens: (
        Annotated[
            int,
            number(
                "Most tokens of an answer. Chat only.", 1, 32_768, in_rest("parameters.max_tokens")
            ),
        ]
        | None
    ) = None
    temperature_percent: (
        Annotated[
            int,
            number(
                "The models' temperature in hundredths: 70 is 0.7. Chat only.",
                0,
                200,
                hundredth("parameters.temperature"),
            ),
        ]
        | None
    ) = None
    system: (
        Annotated[
            str,
            text(
                "What models are told before the input. Chat only.",
                32_768,
                rest=in_rest("parameters.system"),
            ),
        ]
        | None
    ) = None
    group_documents: (
        Annotated[
            int,
            number(
                "Most documents that one task reads. Chat only.",
                1,
                1_000,
                in_rest("parameters.group_documents"),
            ),
        ]
        | None
    ) = None
    group_tokens: (
        Annotated[
            int,
            number(
                "Most tokens of documents that one task reads. Chat only.",
                20,
                100_000,
                in_rest("parameters.group_tokens"),
            ),
        ]
        | None
    ) = None
    minimum_causes: (
        Annotated[
            int,
            number(
                "Fewest causes to look for. Analyze only.", 1, 100, in_rest("parameters.minimum")
            ),
        ]
        | None
    ) = None
    maximum_causes: (
        Annotated[
            int,
            number("Most causes to look for. Analyze only.", 1, 100, in_rest("parameters.maximum")),
        ]
        | None
    ) = None
    text_column: (
        Annotated[
            str,
            text(
                "The column of a CSV file that has the text. Jobs with documents only.",
                255,
                rest=in_rest("parameters.text_column"),
            ),
        ]
        | None
    ) = None
    id_column: (
        Annotated[
            str,
            text(
                "The column of a CSV file that has the documents' ids. Jobs with documents only.",
                255,
                rest=in_rest("parameters.id_column"),
            ),
        ]
        | None
    ) = None


class JobBudget(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a job may spend."""

    limit_micros: Annotated[
        int,
        number(
            "Most that the job's model calls may cost, in millionths of a US dollar.",
            1,
            1_000_000_000_000,
            dollars("budget.limit_usd"),
        ),
    ]
