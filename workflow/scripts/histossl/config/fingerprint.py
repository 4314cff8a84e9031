"""A fingerprint of the code that a script runs, so that editing a library module reruns what uses it.

Snakemake sees neither a script called from `shell:` nor what it imports. Each rule therefore carries the fingerprint
of its script as a parameter. Comments, docstrings and layout do not count, nor do times of change.

Of a registry, a dictionary of imported classes by name, a job uses one entry. What only the other entries need does not
count for it.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = "histossl"


class Entry(NamedTuple):
    """The one entry of a registry that a job uses.

    Attributes:
        module: such as `histossl.ssl.methods`.
        registry: name of an annotated dictionary at the module's top, whose values are classes that the module imports.
        name: the entry's key; where there is none such, the job uses none of the entries.
    """

    module: str
    registry: str
    name: str


def fingerprint_script(script: Path, entry: Entry | None = None) -> str:
    """Fingerprint of `script` and of every module of this package that it imports, directly or not.

    Args:
        script: beside the package.
        entry: the registry counts as if it had this entry alone. A module of another entry counts where it is imported
            by any other way than the registry.

    Raises:
        ValueError: the module has no such registry.
    """
    root = script.parent
    holder = _locate(root, entry.module) if entry else []
    seen: dict[Path, str] = {}
    waiting = [script]
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        code, modules = _parse(source, entry if source in holder else None)
        seen[source] = code
        waiting += [path for module in modules for path in _locate(root, module)]
    listed = "".join(f"{path.relative_to(root).as_posix()}:{seen[path]}\n" for path in sorted(seen))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


@cache
def _parse(source: Path, entry: Entry | None) -> tuple[str, tuple[str, ...]]:
    """The code of one file without comments and docstrings, hashed, and the package modules it imports."""
    parts: list[str] = []
    modules: list[str] = []
    tree = ast.parse(source.read_text(encoding="utf-8"))
    if entry:
        _keep_entry(tree, entry)
    _describe(tree, parts, modules)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest(), tuple(modules)


def _keep_entry(tree: ast.Module, entry: Entry) -> None:
    """Leave out a registry's other entries, and the imports that nothing but them needs."""
    registry = _find_registry(tree, entry)
    others = {value.id for value in registry.values if isinstance(value, ast.Name)}
    entries = zip(registry.keys, registry.values, strict=True)
    kept = [(key, value) for key, value in entries if not isinstance(key, ast.Constant) or key.value == entry.name]
    registry.keys, registry.values = [key for key, _ in kept], [value for _, value in kept]
    needless = others - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            node.names = [alias for alias in node.names if (alias.asname or alias.name) not in needless]
    tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom) or node.names]


def _find_registry(tree: ast.Module, entry: Entry) -> ast.Dict:
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=entry.registry), value=ast.Dict() as registry):
                return registry
    raise ValueError(f"{entry.module} has no annotated dictionary {entry.registry}; correct the rule that names it")


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
