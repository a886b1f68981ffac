"""For the pages of the API: what stands behind a field of a class is its description there."""

from __future__ import annotations

import ast
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Take the comment at the end of the line of a field, its unit and shape, for its docstring."""

    def on_attribute_instance(
        self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **_: Any
    ) -> None:
        """Look at the line behind an annotated field of a class."""
        if attr.docstring or not isinstance(node, ast.AnnAssign):
            return
        if isinstance(attr.parent, griffe.Class) and node.end_lineno is not None:
            line = attr.lines_collection[attr.filepath][node.end_lineno - 1]
            comment = line.encode()[node.end_col_offset :].decode().strip()
            if comment.startswith("# ") and "noqa" not in comment:
                attr.docstring = griffe.Docstring(comment[2:], parent=attr)
