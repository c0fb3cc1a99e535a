"""What a class says of itself and its arguments, read from its source: to import torch takes seconds."""

import ast
import copy
import importlib.util
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path

from kindling.config.docstrings import entries, plain

KINDS = {
    "PositiveInt": "a whole number from 1",
    "NonNegativeInt": "a whole number from 0",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number from 0",
}


@dataclass(frozen=True)
class Argument:
    """Args:
    kind: the annotation, as it is written.
    default: as it is written; None where a value is required.
    about: from the docstring.
    """

    kind: str
    default: str | None
    about: str


@dataclass(frozen=True)
class Code:
    about: str
    arguments: dict[str, Argument]


def described(target: str) -> Code:
    """The class or function of that dotted name; nothing is known of what is not written in Python."""
    module, _, name = target.rpartition(".")
    home, node = find(module, name) or ("", None)
    if not isinstance(node, ast.ClassDef | ast.FunctionDef):
        return Code("", {})
    text = "\n".join(docs(home, node))
    first = re.split(r"\n\s*\n|(?<=\.)\s", text.strip(), maxsplit=1)[0]
    about = dict(entries(text))
    arguments = {
        key: Argument(kind, default, about.get(key, "")) for key, (kind, default) in arguments_of(home, node).items()
    }
    return Code(plain(first), arguments)


@cache
def parsed(module: str) -> ast.Module | None:
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)  # of a package at the top, which is not imported for that
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, *rest)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return ast.parse(file.read_text(encoding="utf-8"))
    return None


def find(module: str, name: str, seen: Collection[str] = ()) -> tuple[str, ast.stmt] | None:
    """Where something is defined that a module offers, and its definition; not in what has been `seen`."""
    tree = parsed(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return module, node
        if isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module not in seen:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find(node.module, alias.name, [*seen, module])
    return None


def docs(module: str, node: ast.ClassDef | ast.FunctionDef) -> Iterator[str]:
    """Its docstring and that of its `__init__`; torch sets some afterwards."""
    yield ast.get_docstring(node) or ""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            yield ast.get_docstring(part) or ""
    tree = parsed(module)
    for statement in tree.body if tree else ():
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == f"{node.name}.__doc__":
            parts = [part for part in ast.walk(statement.value) if isinstance(part, ast.Constant)]
            parts.sort(key=lambda part: (part.lineno, part.col_offset))
            yield "\n".join(part.value for part in parts if isinstance(part.value, str))


def arguments_of(module: str, node: ast.ClassDef | ast.FunctionDef) -> dict[str, tuple[str, str | None]]:
    """Kind and default by name; `**kwargs` of a class stand for those of its bases."""
    if isinstance(node, ast.ClassDef):
        own = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
        found = dict(arguments_of(module, own[0])) if own else {}
        if not own or own[0].args.kwarg:
            for base in node.bases:
                above = find(module, base.id) if isinstance(base, ast.Name) else None
                if above and isinstance(above[1], ast.ClassDef):
                    found = {**arguments_of(above[0], above[1]), **found}
        return found
    args = node.args
    places, rest = [*args.posonlyargs, *args.args], args.kwonlyargs
    defaults: list[ast.expr | None] = [*[None] * (len(places) - len(args.defaults)), *args.defaults, *args.kw_defaults]
    return {
        arg.arg: (kind_of(module, arg.annotation), ast.unparse(default) if default else None)
        for arg, default in zip([*places, *rest], defaults, strict=True)
        if arg.arg != "self"
    }


def kind_of(module: str, annotation: ast.expr | None) -> str:
    """As it is written, with what the names in it stand for."""
    if annotation is None:
        return ""
    return ast.unparse(Resolved(module).visit(annotation))


class Resolved(ast.NodeTransformer):
    """What is written for a type checker in the words of a reader: `int | None` for `Optional[PositiveInt]`."""

    def __init__(self, module: str) -> None:
        self.module = module

    def visit_Name(self, node: ast.Name) -> ast.AST:  # Python's own name for it
        if node.id in KINDS:
            return ast.Name(KINDS[node.id])
        found = find(self.module, node.id)
        is_alias = found and isinstance(found[1], ast.Assign) and isinstance(found[1].value, ast.Subscript | ast.BinOp)
        return Resolved(found[0]).visit(copy.deepcopy(found[1].value)) if found and is_alias else node  # type: ignore[attr-defined]

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        name, parts = ast.unparse(node.value), node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            return ast.Name(f"one of {', '.join(str(ast.literal_eval(part)) for part in parts)}")
        parts = [self.visit(part) for part in parts]
        if name == "Annotated":
            return parts[0]
        if name in ("Union", "Optional"):
            parts += [ast.Constant(None)] * (name == "Optional")
            return reduce(lambda left, right: ast.BinOp(left, ast.BitOr(), right), parts)
        return ast.Subscript(node.value, ast.Tuple(parts) if len(parts) > 1 else parts[0])
