"""Checks modules against the rules of architecture_rules.py by their syntax trees, without importing them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

from tests import architecture_rules as rules

LAYERS = ("values and formats", "cores", "shells", "scripts")
PACKAGES = ("shardstore", "scripts")
"""The first names of modules of the project."""
FOLDERS = {
    "shardstore": "shardstore",
    "router": "shardstore.router",
    "workers": "shardstore.workers",
    "scripts": "scripts",
}
"""The top folders of the repository, with the package in each (pyproject.toml)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach of a rule: the module, the line, and what is wrong."""

    rule: str
    module: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class Import:
    """An import; `typing_only` if it is only for type checkers."""

    target: str
    line: int
    typing_only: bool


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the project: its name, source and syntax tree."""

    name: str
    source: str
    tree: ast.Module

    @classmethod
    def parse(cls, name: str, source: str) -> Module:
        """Parse the module with this name."""
        return cls(name, source, ast.parse(source))


def read_modules(root: Path) -> dict[str, Module]:
    """All modules below the root of the project, by name."""
    return {
        name: Module.parse(name, path.read_text("utf-8"))
        for folder, package in FOLDERS.items()
        for name, path in _named_paths(root / folder, package)
    }


def _named_paths(folder: Path, package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*.py")):  # skips the links shardstore/router and shardstore/workers
        inside = path.relative_to(folder).with_suffix("").parts
        yield ".".join((package, *inside)).removesuffix(".__init__"), path


def check(modules: Mapping[str, Module]) -> list[Finding]:
    """All breaches of all rules."""
    found = [finding for module in modules.values() for finding in check_module(module, modules)]
    return found + check_cycles(modules) + check_folders(modules) + check_fields(modules) + check_names(modules)


def check_module(module: Module, known: Collection[str]) -> list[Finding]:
    """The breaches of one module, without rules on several modules; `known` holds the names of all modules."""
    imports = list(imports_of(module, known))
    return [
        *check_parts(module, imports),
        *check_layers(module, imports),
        *check_imports(module, imports),
        *check_calls(module),
        *check_files(module, imports),
        *check_sizes(module),
        *check_docstrings(module),
    ]


def imports_of(module: Module, known: Collection[str]) -> Iterator[Import]:
    """All imports of a module, wherever they are. A module of the project has its full name."""
    for_typing = {
        id(node)
        for block in ast.walk(module.tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            deeper = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in known else base for name in deeper]
        else:
            continue
        for target in dict.fromkeys(targets):
            script = f"scripts.{target}"  # scripts import each other without the name of the folder
            yield Import(script if script in known else target, node.lineno, id(node) in for_typing)


def part_of(name: str) -> str:
    """The part of the project to which a module belongs."""
    if name == rules.PUBLIC:
        return "public"
    return rules.PART_OF.get(_longest_match(name, rules.PART_OF), "foundation")


def layer_of(name: str) -> int:
    """The layer of a module, as an index of LAYERS."""
    if name.startswith("scripts."):
        return 3
    shells = {shell for shell in rules.SHELLS if shell != rules.PUBLIC}
    if name == rules.PUBLIC or _longest_match(name, shells):
        return 2
    return 0 if _longest_match(name, rules.VALUES) else 1


def is_ours(name: str) -> bool:
    """Whether a module belongs to the project."""
    return name.startswith(tuple(f"{package}." for package in PACKAGES)) or name in PACKAGES


def check_parts(module: Module, imports: list[Import]) -> Iterator[Finding]:
    """Parts import only the parts that the rules allow."""
    part = part_of(module.name)
    for each in imports:
        if each.target.startswith("."):
            yield Finding("parts", module.name, each.line, f"imports {each.target}; imports are absolute here")
        elif is_ours(each.target) and part_of(each.target) not in (part, *rules.PARTS[part]):
            what = f"{part} imports {each.target}, which is {part_of(each.target)}"
            yield Finding("parts", module.name, each.line, what)


def check_layers(module: Module, imports: list[Import]) -> Iterator[Finding]:
    """No module imports a module of a higher layer."""
    layer = layer_of(module.name)
    for each in imports:
        if is_ours(each.target) and layer_of(each.target) > layer:
            what = f"one of the {LAYERS[layer]} imports {each.target}, one of the {LAYERS[layer_of(each.target)]}"
            yield Finding("layers", module.name, each.line, what)


def check_cycles(modules: Mapping[str, Module]) -> list[Finding]:
    """No module imports itself indirectly."""
    graph = {
        name: {each.target for each in imports_of(module, modules) if each.target in modules and not each.typing_only}
        for name, module in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        return [Finding("cycles", cycle[0], 1, "imports itself: " + " -> ".join(cycle))]
    return []


def check_folders(modules: Mapping[str, Module]) -> list[Finding]:
    """Folders have an order: folders and modules of a package do not need each other in a cycle, even for types.

    The modules directly in a package count as one: a folder that one of them needs must need none of them. Programs
    (`__main__`) and scripts may.
    """
    graphs: dict[str, dict[str, set[str]]] = {}
    for name, module in modules.items():
        for each in imports_of(module, modules):
            if each.target in modules and (forked := _where_they_part(name, each.target)):
                parent, importer, imported = forked
                graphs.setdefault(parent, {}).setdefault(importer, set()).add(imported)
    found = []
    for parent, graph in graphs.items():
        folders = {name for name in graph if any(module.startswith(f"{name}.") for module in modules)}
        for folder in sorted(folders):
            if circle := _way_back(graph, folder):
                found.append(Finding("folders", parent, 1, "needs itself: " + " -> ".join(circle)))
    return found + [finding for parent, graph in graphs.items() for finding in _tangles(parent, graph, modules)]


def _tangles(parent: str, graph: Mapping[str, set[str]], modules: Mapping[str, Module]) -> Iterator[Finding]:
    """Folders of a package that need a module directly in it, although another such module needs them."""
    if parent.split(".", maxsplit=1)[0] != "shardstore":
        return
    packages = {name.rpartition(".")[0] for name in modules}
    for folder in sorted(packages & graph.keys()):
        needed = sorted(graph[folder] - packages)
        users = sorted(name for name in graph.keys() - packages if folder in graph[name] and not _is_program(name))
        if needed and users:
            yield Finding("folders", parent, 1, f"{users[0]} needs {folder}, which needs {needed[0]}")


def _is_program(name: str) -> bool:
    return name.endswith(".__main__")


def _where_they_part(importer: str, imported: str) -> tuple[str, str, str] | None:
    """The innermost package that contains both, and their names in it; None if one contains the other."""
    left, right = importer.split("."), imported.split(".")
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))))
    if shared in (len(left), len(right)):
        return None
    return ".".join(left[:shared]), ".".join(left[: shared + 1]), ".".join(right[: shared + 1])


def _way_back(graph: Mapping[str, set[str]], start: str) -> list[str]:
    """The shortest cycle through a node; empty if there is none."""
    ways = [[start]]
    seen: set[str] = set()
    for way in ways:
        for following in sorted(graph.get(way[-1], ())):
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


def check_fields(modules: Mapping[str, Module]) -> list[Finding]:
    """Only methods of some classes write their fields: other modules that import the class write only `self`."""
    found = []
    for home, owner in rules.WRITES_ITSELF.items():
        fields = _fields_of(modules[home].tree, owner) if home in modules else set()
        for module in modules.values():
            if module.name == home or any(each.target == home for each in imports_of(module, modules)):
                for node in ast.walk(module.tree):
                    is_written = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
                    if is_written and node.attr in fields and ast.unparse(node.value) != "self":
                        what = f"writes {ast.unparse(node)}, a field of {owner}"
                        found.append(Finding("fields", module.name, node.lineno, what))
    return found


def _fields_of(tree: ast.Module, owner: str) -> set[str]:
    """The fields that a class declares in its body."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner]
    return {ast.unparse(node.target) for each in classes for node in each.body if isinstance(node, ast.AnnAssign)}


def check_names(modules: Mapping[str, Module]) -> list[Finding]:
    """No two modules define the same class or type alias, even a private one, or the same public function.

    Scripts may, and the rules name other exceptions for functions.
    """
    found = []
    homes: dict[str, str] = {}
    for module in modules.values():
        if layer_of(module.name) < LAYERS.index("scripts"):
            for name, line in (*_types_defined_by(module), *_functions_defined_by(module)):
                home = homes.setdefault(name, module.name)
                if home != module.name:
                    found.append(Finding("names", module.name, line, f"defines {name}, as {home} does"))
    return found


def _types_defined_by(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            yield ast.unparse(node.target), node.lineno


def _functions_defined_by(module: Module) -> Iterator[tuple[str, int]]:
    """The public functions of the module itself whose names must be its own."""
    if _longest_match(module.name, (rules.NAMES_ITS_COMMANDS,)):
        return
    for node in module.tree.body:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and not node.name.startswith("_") and node.name not in rules.FUNCTION_NAMES_FOR_ALL:
            yield node.name, node.lineno


def check_imports(module: Module, imports: list[Import]) -> Iterator[Finding]:
    """Dangerous modules are forbidden, some are only for certain importers, and a core imports only what is listed."""
    for each in imports:
        top = each.target.split(".")[0]
        if (module.name, top) in rules.MAY_IMPORT_ALL_THE_SAME:
            continue
        if top in rules.NOBODY_MAY_IMPORT:
            what = f"imports {each.target}: {rules.NOBODY_MAY_IMPORT[top]}"
            yield Finding("imports", module.name, each.line, what)
        elif is_ours(each.target) or layer_of(module.name) == LAYERS.index("scripts"):
            continue
        elif module.name not in rules.ONLY_IN.get(top, (module.name,)):
            what = f"imports {each.target}, which is for {', '.join(rules.ONLY_IN[top]) or 'scripts'} only"
            yield Finding("imports", module.name, each.line, what)
        elif layer_of(module.name) < LAYERS.index("shells") and top not in rules.CORE_MAY_IMPORT:
            yield Finding("imports", module.name, each.line, f"imports {each.target}, but is no shell")


def check_calls(module: Module) -> Iterator[Finding]:
    """No module runs code from text, and a core calls nothing that depends on more than its arguments."""
    reasons = dict(rules.NOBODY_MAY_CALL)
    if layer_of(module.name) < LAYERS.index("shells"):
        reasons |= rules.CORE_MAY_NOT_CALL
    for name, line in _calls(module):
        if name in reasons:
            yield Finding("calls", module.name, line, f"calls {name}: {reasons[name]}")


def check_files(module: Module, imports: list[Import]) -> Iterator[Finding]:
    """Only the real filesystem and the listed modules use files."""
    if module.name in rules.FILES_MAY_BE_TOUCHED_BY or layer_of(module.name) == LAYERS.index("scripts"):
        return
    for each in imports:
        if each.target.split(".")[0] in rules.FILE_MODULES:
            yield Finding("files", module.name, each.line, f"imports {each.target}")
    for name, line in _calls(module):
        if name in rules.FILE_CALLS:
            yield Finding("files", module.name, line, f"calls {name}")


def check_sizes(module: Module) -> Iterator[Finding]:
    """Files and functions are not too long."""
    lines = module.source.count("\n")
    if lines > rules.FILE_LINES_MAX:
        yield Finding("sizes", module.name, 1, f"{lines} lines; a file has at most {rules.FILE_LINES_MAX}")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > rules.FUNCTION_LINES_MAX:
                what = f"{node.name} has {lines} lines; a function has at most {rules.FUNCTION_LINES_MAX}"
                yield Finding("sizes", module.name, node.lineno, what)


def check_docstrings(module: Module) -> Iterator[Finding]:
    """Modules, and public classes, functions and methods, have docstrings."""
    if not ast.get_docstring(module.tree):
        yield Finding("docstrings", module.name, 1, "the module has no docstring")
    yield from _undocumented(module.name, module.tree)


def _undocumented(module: str, parent: ast.Module | ast.ClassDef) -> Iterator[Finding]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
        if not ast.get_docstring(node) and not overload:
            yield Finding("docstrings", module, node.lineno, f"{node.name} has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(module, node)


def _calls(module: Module) -> Iterator[tuple[str, int]]:
    """The plain or dotted names that are called, with their lines."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node.lineno


def _longest_match(name: str, names: Collection[str]) -> str:
    """The longest of the names that is this module or a package around it; empty if there is none."""
    return max((each for each in names if name == each or name.startswith(each + ".")), key=len, default="")
