"""A fingerprint of the code that a script runs, so that editing a library module reruns what uses it.

Snakemake sees neither a script called from `shell:` nor what it imports. Each rule therefore carries the fingerprint
of its script as a parameter. Comments, docstrings and layout do not count, nor do times of change.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "histossl"


def fingerprint_script(script: Path) -> str:
    """Fingerprint of `script` and of every module of this package that it imports, directly or not."""
    root = script.parent
    seen: dict[Path, str] = {}
    waiting = [script]
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        code, modules = _parse(source)
        seen[source] = code
        waiting += [path for module in modules for path in _locate(root, module)]
    listed = "".join(f"{path.relative_to(root).as_posix()}:{seen[path]}\n" for path in sorted(seen))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


@cache
def _parse(source: Path) -> tuple[str, tuple[str, ...]]:
    """The code of one file without comments and docstrings, hashed, and the package modules it imports."""
    parts: list[str] = []
    modules: list[str] = []
    _describe(ast.parse(source.read_text(encoding="utf-8")), parts, modules)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest(), tuple(modules)


def _describe(node: Any, parts: list[str], modules: list[str]) -> None:  # noqa: ANN401
    """Append what a syntax tree says to `parts`, and the package modules that it imports to `modules`.

    Neither `ast.dump` nor `ast.unparse`, which write one program in several ways, as Python's version would have it: on
    a machine with another Python all results would be made again.
    """
    if isinstance(node, list):
        for part in node:
            _describe(part, parts, modules)
        parts.append("]")
        return
    if not isinstance(node, ast.AST):
        parts.append(repr(node))
        return
    if isinstance(node, ast.Import):
        modules += [alias.name for alias in node.names if alias.name.startswith(PACKAGE)]
    elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
        # A name may be a module itself: `from histossl.ssl import dino`.
        modules += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    parts.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name in ("ctx", "kind"):
            continue  # of empty fields newer Pythons have more; the other two follow from the place and the text
        if name == "body" and isinstance(value, list):
            # Also the text below a field or a constant, which documents it.
            value = [part for part in value if not _is_text(part)] or [ast.Pass()]
        elif isinstance(node, ast.JoinedStr):
            value = _join(value)
        parts.append(name)
        _describe(value, parts, modules)
    parts.append(")")


def _join(values: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string, the text between two values in one piece: some Pythons cut it or add an empty one."""
    joined: list[ast.expr] = []
    for part in values:
        if isinstance(part, ast.Constant):
            before = str(joined.pop().value) if joined and isinstance(joined[-1], ast.Constant) else ""
            part = ast.Constant(before + str(part.value))
        if not (isinstance(part, ast.Constant) and part.value == ""):
            joined.append(part)
    return joined


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _locate(root: Path, module: str) -> list[Path]:
    """The file of a module, if it is one; a package's `__init__` holds no code here and is left out."""
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    return [path] if path.is_file() else []
