"""A fingerprint of the code that a script runs, so that editing a library module reruns what uses it.

Snakemake sees neither a script called from `shell:` nor what it imports. Each rule therefore carries the fingerprint
of its script as a parameter. Comments, docstrings and layout do not count, nor do times of change.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

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
    tree = ast.parse(source.read_text(encoding="utf-8"))
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names if alias.name.startswith(PACKAGE)]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            # A name may be a module itself: `from histossl.ssl import dino`.
            modules += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # Also the text below a field or a constant, which documents it.
            body[:] = [part for part in body if not _is_text(part)] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest(), tuple(modules)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _locate(root: Path, module: str) -> list[Path]:
    """The file of a module, if it is one; a package's `__init__` holds no code here and is left out."""
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    return [path] if path.is_file() else []
