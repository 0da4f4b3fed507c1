"""Finds the names that a file defines besides functions and classes: constants, module and class
variables, type aliases, macros. Pure.

People look for these by name (``git copilot search``). They neither name a chunk nor count as
definitions for completion, where they were not shown to help.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from git_copilot.index.core.types import Symbol
from git_copilot.index.text.definitions import MAX_NAME, MAX_SIGNATURE, Definition
from git_copilot.index.text.parsing import ParseBudget, TooSlow

if TYPE_CHECKING:
    from tree_sitter import Node, Query

VALUE, TYPE, MACRO, NAMED = "value", "typename", "define", "named"
# Kinds of symbols that only `git copilot search` uses. No grammar has nodes of these names.
VALUE_KINDS = (VALUE, TYPE, MACRO, NAMED)
# Deeper nodes are inside functions: even a class in a class in a class, within a conditional, is
# less deep. Searching everywhere takes twice as long.
MAX_DEPTH = 6
# For SQL over the table `symbols`.
NO_VALUES = f"kind NOT IN {VALUE_KINDS}"

_SCRIPT = """
(program [(lexical_declaration (variable_declarator name: (identifier) @value))
          (variable_declaration (variable_declarator name: (identifier) @value))])
(export_statement [(lexical_declaration (variable_declarator name: (identifier) @value))
                   (variable_declaration (variable_declarator name: (identifier) @value))])
(program (expression_statement (assignment_expression
    left: (member_expression property: (property_identifier) @value))))
"""
_C = """
(preproc_def name: (identifier) @define)
(preproc_function_def name: (identifier) @define)
(type_definition declarator: (type_identifier) @typename)
(type_definition declarator: (_ declarator: (type_identifier) @typename))
(struct_specifier name: (type_identifier) @named body: (_))
(union_specifier name: (type_identifier) @named body: (_))
(enum_specifier name: (type_identifier) @named body: (_))
(enumerator name: (identifier) @value)
(translation_unit (declaration declarator: (init_declarator declarator: (identifier) @value)))
(translation_unit (declaration declarator: (init_declarator
    declarator: (_ declarator: (identifier) @value))))
"""
# By language: a query that captures names as @value, @typename, @define or @named.
_QUERIES = {
    "python": """
        (module (assignment left: (identifier) @value))
        (module (assignment left: (pattern_list (identifier) @value)))
        (module (_ (block (assignment left: (identifier) @value))))
        (class_definition body: (block (assignment left: (identifier) @value)))
        (type_alias_statement left: (type (identifier) @typename))
    """,
    "javascript": _SCRIPT + "(class_body (field_definition property: (property_identifier) @value))",
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "java": """
        (field_declaration declarator: (variable_declarator name: (identifier) @value))
        (enum_constant name: (identifier) @value)
    """,
    "csharp": """
        (field_declaration (variable_declaration (variable_declarator name: (identifier) @value)))
    """,
    "c": _C,
    "cpp": _C + "(class_specifier name: (type_identifier) @named body: (_))",
    "go": """
        (source_file (var_declaration (var_spec name: (identifier) @value)))
        (source_file (const_declaration (const_spec (identifier) @value)))
        (type_alias name: (type_identifier) @typename)
    """,
    "ruby": """
        (assignment left: (constant) @value)
        (class name: (_) @named) (module name: (_) @named)
        (method name: (_) @named) (singleton_method name: (_) @named)
    """,
    "php": """
        (const_element (name) @value)
        (property_element name: (variable_name (name) @value))
    """,
    "kotlin": """
        (source_file (property_declaration (variable_declaration (simple_identifier) @value)))
        (class_body (property_declaration (variable_declaration (simple_identifier) @value)))
    """,
    "scala": "(val_definition pattern: (identifier) @value)",
    "lua": """
        (chunk (variable_declaration
            (assignment_statement (variable_list name: (identifier) @value))))
        (chunk (assignment_statement (variable_list name: (identifier) @value)))
    """,
    "bash": """
        (program (variable_assignment name: (variable_name) @value))
        (program (declaration_command (variable_assignment name: (variable_name) @value)))
    """,
    "make": "(variable_assignment name: (word) @value)",
    "dart": "(program (static_final_declaration_list (static_final_declaration (identifier) @value)))",
    "zig": "(source_file (Decl (VarDecl variable_type_function: (IDENTIFIER) @value)))",
    "julia": "(const_statement (assignment . (identifier) @value))",
}  # fmt: skip
LANGUAGES = frozenset(_QUERIES)


@cache
def _query(language: str) -> Query | None:
    if language not in _QUERIES:
        return None
    from tree_sitter import Query
    from tree_sitter_language_pack import get_language

    grammar = get_language(language)  # type: ignore[arg-type, unused-ignore]
    return Query(grammar, _QUERIES[language])


def value_symbols(
    root: Node,
    data: bytes,
    language: str,
    defined: Sequence[Definition],
    hidden: frozenset[int] = frozenset(),
    budget: ParseBudget | None = None,
) -> list[Symbol]:
    """The names that are not in ``defined``, in the order of their lines, each once per line.

    :param hidden: lines (1-based) that must not be revealed.
    :raises TooSlow: ``budget`` is exhausted.
    """
    from tree_sitter import QueryCursor

    query = _query(language)
    if query is None:
        return []
    cursor = QueryCursor(query)
    cursor.set_max_start_depth(MAX_DEPTH)
    known = {(d.symbol.name, d.symbol.line) for d in defined}
    found = {}
    for kind, nodes in cursor.captures(root).items():
        for node in nodes:
            if budget is not None and budget.is_exhausted():
                raise TooSlow
            name = data[node.start_byte : node.end_byte].decode("utf-8", "replace")
            line = node.start_point.row + 1
            if len(name) <= MAX_NAME and line not in hidden and (name, line) not in known:
                found[line, name] = Symbol(
                    name, kind, line, _line_at(data, node), _scope(defined, line)
                )
    return [found[key] for key in sorted(found)]


def _line_at(data: bytes, node: Node) -> str:
    """The line that contains the name."""
    begin = data.rfind(b"\n", 0, node.start_byte) + 1
    end = data.find(b"\n", node.end_byte)
    line = data[max(begin, node.start_byte - MAX_SIGNATURE) : end if end >= 0 else len(data)]
    return " ".join(line[: 4 * MAX_SIGNATURE].decode("utf-8", "replace").split())[:MAX_SIGNATURE]


def _scope(defined: Sequence[Definition], line: int) -> str:
    """The names of the definitions that enclose the line."""
    return ".".join(d.symbol.name for d in defined if d.first < line <= d.last)
