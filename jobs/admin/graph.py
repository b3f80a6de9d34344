"""A plan as a layered graph: which boxes there are, where they stand, and the drawing as SVG. Pure.

Alike tasks (of one stage, with the same parents and children) are one box; where that leaves too
many, each stage is one. What is not spawned yet stands there from the start, dashed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin.words import BADGES, number
from jobs.queries.plan_graph import PlanParts, PlanTask
from jobs.states import TaskStatus

ALIKE: Final = 3
"""More alike tasks than this are one box."""

MOST_BOXES: Final = 60
MOST_ABREAST: Final = 10
"""Boxes in one layer; a taller drawing shows nothing that a stage's box does not."""

BOX_WIDTH: Final = 150
BOX_HEIGHT: Final = 58
BETWEEN: Final = 32
"""Between two layers; boxes of one layer stand closer."""

BESIDE: Final = 14
NAME_CHARACTERS: Final = 17

COLOURS: Final[dict[str, str]] = {
    TaskStatus.SUCCEEDED: "ok-p",
    TaskStatus.RUNNING: "run-p",
    TaskStatus.DEAD_LETTERED: "bad-p",
}
WORST: Final = (
    TaskStatus.DEAD_LETTERED.value,
    TaskStatus.RUNNING.value,
    TaskStatus.QUEUED.value,
    TaskStatus.BLOCKED.value,
    TaskStatus.CANCELLED.value,
    TaskStatus.SUCCEEDED.value,
)
"""Whose colour a box of several tasks has: of the first of these that it holds."""


@dataclass
class Box:
    """One task, or several alike; ``counts`` by status, ``planned`` says what is to be spawned."""

    key: Any
    name: str
    counts: Counter[str]
    stage: int
    task: int = 0
    planned: str = ""
    layer: int = 0
    row: float = 0.0

    @property
    def size(self) -> int:
        """How many tasks it stands for."""
        return self.counts.total()


@dataclass
class Graph:
    """Boxes with what leads to what; ``by_stage`` where tasks were too many to tell apart."""

    boxes: list[Box]
    edges: set[tuple[Any, Any]]
    by_stage: bool
    layers: list[list[Box]] = field(default_factory=list)


def plan_graph(parts: PlanParts, stages: Sequence[Mapping[str, Any]]) -> Graph | None:
    """Return the graph of a plan with each box in its place; None where even stages are too many.

    ``stages`` are the job's, in order, as its document has them.
    """
    if parts.tasks:
        graph = _placed(_of_tasks(parts, stages))
        if len(graph.boxes) <= MOST_BOXES and max(map(len, graph.layers)) <= MOST_ABREAST:
            return graph
    if len(stages) > MOST_BOXES:
        return None
    return _placed(_of_stages(parts, stages))


def draw(graph: Graph, addresses: Mapping[Any, str], *, down: bool = False) -> SafeString:
    """Return the drawing, from left to right or from above downwards; each box is a link."""
    abreast = max(map(len, graph.layers))
    deep = len(graph.layers)
    size = (abreast, deep) if down else (deep, abreast)
    gaps = (BESIDE, BETWEEN) if down else (BETWEEN, BESIDE)
    width, height = (
        count * box + (count - 1) * gap + 2
        for count, box, gap in zip(size, (BOX_WIDTH, BOX_HEIGHT), gaps, strict=True)
    )
    places = {
        box.key: _place(box, len(graph.layers[box.layer]), abreast, down=down)
        for box in graph.boxes
    }
    lines = ((_line(places[a], places[b], down=down),) for a, b in sorted(graph.edges, key=str))
    boxes = ((_box(box, places[box.key], addresses.get(box.key, "#tasks")),) for box in graph.boxes)
    return format_html(
        '<svg class="dag" width="{0}" height="{1}" viewBox="-1 -1 {0} {1}" role="group" '
        'aria-label="Plan: {2}">{3}{4}</svg>',
        width,
        height,
        ", ".join(f"{box.name} {_state(box)}" for box in graph.boxes[:20]),
        format_html_join("", "{}", lines),
        format_html_join("", "{}", boxes),
    )


def _of_tasks(parts: PlanParts, stages: Sequence[Mapping[str, Any]]) -> Graph:
    parents: dict[int, set[int]] = defaultdict(set)
    children: dict[int, set[int]] = defaultdict(set)
    for parent, child in parts.edges:
        parents[child].add(parent)
        children[parent].add(child)
    alike: dict[Any, list[PlanTask]] = defaultdict(list)
    for task in parts.tasks:
        key = (task.stage, frozenset(parents[task.id]), frozenset(children[task.id]))
        alike[key].append(task)
    boxes: list[Box] = []
    box_of: dict[int, Any] = {}
    for members in alike.values():
        for group in [members] if len(members) > ALIKE else [[task] for task in members]:
            box = _task_box(group, stages)
            boxes.append(box)
            box_of |= {task.id: box.key for task in group}
    edges = {(box_of[a], box_of[b]) for a, b in parts.edges if a in box_of and b in box_of}
    return _with_planned(Graph(boxes, edges, by_stage=False), stages)


def _task_box(group: Sequence[PlanTask], stages: Sequence[Mapping[str, Any]]) -> Box:
    first = group[0]
    alone = len(group) == 1
    stage = stages[first.stage]["name"] if first.stage < len(stages) else ""
    return Box(
        key=first.id,
        name=(first.name or stage) if alone else stage,
        counts=Counter(task.status for task in group),
        stage=first.stage,
        task=first.id if alone else 0,
    )


def _of_stages(parts: PlanParts, stages: Sequence[Mapping[str, Any]]) -> Graph:
    boxes = [
        Box(("stage", index), stage["name"], _counts(stage), index)
        for index, stage in enumerate(stages)
        if stage["total"]
    ]
    known = {box.stage for box in boxes}
    edges = {
        (("stage", a), ("stage", b))
        for a, b in parts.stage_edges
        if a != b and a in known and b in known
    }
    return _with_planned(Graph(boxes, edges, by_stage=True), stages)


def _counts(stage: Mapping[str, Any]) -> Counter[str]:
    names = {
        TaskStatus.SUCCEEDED: "succeeded",
        TaskStatus.RUNNING: "running",
        TaskStatus.QUEUED: "queued",
        TaskStatus.BLOCKED: "blocked",
        TaskStatus.DEAD_LETTERED: "dead_lettered",
        TaskStatus.CANCELLED: "cancelled",
    }
    return Counter({status.value: stage[name] for status, name in names.items() if stage[name]})


def _with_planned(graph: Graph, stages: Sequence[Mapping[str, Any]]) -> Graph:
    """Add the stages whose tasks are spawned later, between the stages beside them."""
    for index, stage in enumerate(stages):
        if stage["total"] or not stage["planned_max"]:
            continue
        few, many = stage["planned_min"], stage["planned_max"]
        planned = number(many) if few == many else f"{number(few)}–{number(many)}"
        box = Box(("planned", index), stage["name"], Counter(), index, planned=planned)
        before = max((b.stage for b in graph.boxes if b.stage < index), default=None)
        after = min((b.stage for b in graph.boxes if b.stage > index), default=None)
        graph.edges |= {(b.key, box.key) for b in graph.boxes if b.stage == before}
        graph.edges |= {(box.key, b.key) for b in graph.boxes if b.stage == after}
        graph.boxes.append(box)
    return graph


def _placed(graph: Graph) -> Graph:
    """Give each box its layer, the longest way to it, and its place among those beside it."""
    parents: dict[Any, list[Box]] = defaultdict(list)
    by_key = {box.key: box for box in graph.boxes}
    graph.edges = {(a, b) for a, b in graph.edges if a != b}
    for a, b in graph.edges:
        parents[b].append(by_key[a])
    # Stages may lead back and forth where boxes stand for many tasks: so many rounds are enough
    # for the longest way without a circle.
    for _ in graph.boxes:
        moved = False
        for box in graph.boxes:
            layer = max((p.layer + 1 for p in parents[box.key]), default=0)
            if layer > box.layer and layer < len(graph.boxes):
                box.layer, moved = layer, True
        if not moved:
            break
    _order(graph, parents)
    return graph


def _order(graph: Graph, parents: Mapping[Any, list[Box]]) -> None:
    """Put the boxes of each layer near those that lead to them; layers without one fall away."""
    found: dict[int, list[Box]] = defaultdict(list)
    for box in graph.boxes:
        found[box.layer].append(box)
    for index, layer in enumerate(sorted(found)):
        boxes = found[layer]
        boxes.sort(key=lambda box: (_middle(parents[box.key]), box.stage, str(box.key)))
        for row, box in enumerate(boxes):
            box.layer, box.row = index, row - (len(boxes) - 1) / 2
        graph.layers.append(boxes)


def _middle(boxes: Iterable[Box]) -> float:
    rows = [box.row for box in boxes]
    return sum(rows) / len(rows) if rows else 0.0


def _place(box: Box, beside: int, abreast: int, *, down: bool) -> tuple[float, float]:
    across = BOX_WIDTH + BESIDE if down else BOX_HEIGHT + BESIDE
    along = BOX_HEIGHT + BETWEEN if down else BOX_WIDTH + BETWEEN
    offset = (box.row + (abreast - 1) / 2) * across
    return (offset, box.layer * along) if down else (box.layer * along, offset)


def _line(start: tuple[float, float], end: tuple[float, float], *, down: bool) -> SafeString:
    if down:
        x1, y1 = start[0] + BOX_WIDTH / 2, start[1] + BOX_HEIGHT
        x2, y2 = end[0] + BOX_WIDTH / 2, end[1]
        bend = (y2 - y1) / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} "
        path += f"{x2:.0f} {y2 - 3:.0f}"
        head = f"M{x2 - 4:.0f} {y2 - 6:.0f}l4 5 4-5"
    else:
        x1, y1 = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT / 2
        x2, y2 = end[0], end[1] + BOX_HEIGHT / 2
        bend = (x2 - x1) / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} "
        path += f"{x2 - 3:.0f} {y2:.0f}"
        head = f"M{x2 - 6:.0f} {y2 - 4:.0f}l5 4-5 4"
    return format_html('<path class="e" d="{}"/><path class="e" d="{}"/>', path, head)


def _box(box: Box, place: tuple[float, float], address: str) -> SafeString:
    x, y = place
    name = box.name if len(box.name) <= NAME_CHARACTERS else box.name[: NAME_CHARACTERS - 1] + "…"
    count = f" × {box.planned}" if box.planned else f" × {number(box.size)}" if box.size > 1 else ""
    done = box.counts.get(TaskStatus.SUCCEEDED, 0) / box.size if box.size else 0.0
    inner = BOX_WIDTH - 24
    bar: SafeString | str = ""
    if box.size > 1:
        bar = format_html(
            '<rect class="trk" x="14" y="{0}" width="{1}" height="4" rx="2"/>'
            '<rect class="ok-p" x="14" y="{0}" width="{2}" height="4" rx="2"/>',
            BOX_HEIGHT - 11,
            inner,
            f"{inner * done:.1f}",
        )
    return format_html(
        '<a href="{}"><g transform="translate({} {})"><title>{}: {}</title>'
        '<rect class="dagn{}" width="{}" height="{}" rx="7"/>{}'
        '<text x="14" y="23">{}{}</text><text class="m" x="14" y="40">{}</text>{}</g></a>',
        address,
        f"{x:.0f}",
        f"{y:.0f}",
        box.name,
        _state(box),
        " later" if box.planned else "",
        BOX_WIDTH,
        BOX_HEIGHT,
        "" if box.planned else _edge_of(box),
        name,
        count,
        _state(box),
        bar,
    )


def _edge_of(box: Box) -> SafeString:
    worst = next((status for status in WORST if box.counts.get(status)), "")
    return format_html(
        '<rect class="{}" x="1" y="6" width="4" height="{}" rx="2"/>',
        COLOURS.get(worst, "idle-p"),
        BOX_HEIGHT - 12,
    )


def _state(box: Box) -> str:
    """Return a box's state in a few words: of one task its word, of several the counts."""
    if box.planned:
        return "spawned later"
    if box.size == 1:
        (status,) = box.counts
        return BADGES[status].word.lower()
    if len(box.counts) == 1:
        (status,) = box.counts
        return f"all {BADGES[status].word.lower()}"
    short = {
        TaskStatus.SUCCEEDED.value: "ok",
        TaskStatus.RUNNING.value: "run",
        TaskStatus.DEAD_LETTERED.value: "dead",
        TaskStatus.QUEUED.value: "queued",
        TaskStatus.BLOCKED.value: "blocked",
        TaskStatus.CANCELLED.value: "cancelled",
    }
    parts = [
        f"{number(box.counts[name])} {word}" for name, word in short.items() if box.counts[name]
    ]
    return " · ".join(parts[:3])
