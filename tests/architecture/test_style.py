"""The house style, as far as a program can see it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.architecture.source import ROOT, is_ours, parsed, product_files, shown

MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
MEDIAN_LINES_OF_FUNCTIONS = 10
LONG_FILES: dict[str, str] = {}
"""Files that may be longer, each with the reason."""

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "services", "tasks"}
VIEWS_NAMED_BY_THEIR_ADDRESS = {"jobs/api/tasks.py", "jobs/queries/tasks.py"}
"""Modules about tasks, the domain's own word: `/v1/jobs/{job}/tasks` is served here."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def python_files() -> list[Path]:
    """Every Python file of the repository that a person wrote."""
    return [
        path
        for path in sorted(ROOT.rglob("*.py"))
        if is_ours(path) and "migrations" not in path.parts and "_pb2" not in path.name
    ]


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def length(node: Function) -> int:
    """Lines of a function without its decorators and docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 2 if body else 1


def public(nodes: list[ast.stmt]) -> Iterator[Documented]:
    """Public classes and functions, and the public methods of public classes."""
    for node in nodes:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def is_plain(node: Documented, path: Path) -> bool:
    """What its place or framework explains: Django's inner classes and commands, overloads."""
    if isinstance(node, ast.ClassDef):
        return node.name in {"Meta", "Media"} or (
            node.name == "Command" and "management" in path.parts
        )
    in_command = "management" in path.parts and node.name in {"handle", "add_arguments"}
    return in_command or any(ast.unparse(one).endswith("setter") for one in node.decorator_list)


def test_no_file_is_too_long():
    long = {
        shown(path): lines
        for path in python_files()
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MOST_LINES
    }
    assert {name: lines for name, lines in long.items() if name not in LONG_FILES} == {}


def test_no_function_is_too_long():
    long = [
        f"{shown(path, node.lineno)} {node.name}: {length(node)}"
        for path in product_files()
        for node in functions(path)
        if length(node) > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_most_functions_are_short():
    lengths = [length(node) for path in product_files() for node in functions(path)]
    assert median(lengths) < MEDIAN_LINES_OF_FUNCTIONS


def test_no_module_has_a_name_that_says_nothing():
    named = [shown(path) for path in python_files() if path.stem in SAYS_NOTHING]
    assert [name for name in named if name not in VIEWS_NAMED_BY_THEIR_ADDRESS] == []


def test_nothing_is_left_to_be_done():
    left = re.compile(
        "|".join(
            ["NotImplemented" + "Error", r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b"]
        )
    )
    found = [
        shown(path, number)
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if left.search(line)
    ]
    assert found == []


def test_everything_public_has_a_docstring():
    missing = [
        f"{shown(path, node.lineno)} {node.name}"
        for path in product_files()
        for node in public(parsed(path).body)
        if not is_plain(node, path) and not ast.get_docstring(node)
    ]
    assert missing == []


def test_every_module_says_what_it_is_for():
    """By its docstring, or by that of the one class or function it holds."""
    silent = [
        shown(path)
        for path in product_files()
        if (body := parsed(path).body)
        and not ast.get_docstring(parsed(path))
        and len(
            [
                node
                for node in body
                if isinstance(node, Documented) and not node.name.startswith("_")
            ]
        )
        != 1
        and any(isinstance(node, Documented) for node in body)
    ]
    assert silent == []


def test_there_are_no_django_signals():
    found = [
        shown(path, node.lineno)
        for path in product_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").endswith(("dispatch", "signals"))
    ]
    assert found == []
