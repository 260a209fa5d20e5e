"""The page that maps every documented operation to its method."""

from __future__ import annotations

from .endpoints import Operation, Product, template


def render(products: list[Product]) -> str:
    """The page's text, without a header: all operations by document and path, then undocumented ones."""
    every = [(product, it) for product in products for resource in product.resources for it in resource.operations]
    every.sort(key=lambda pair: (_source(pair[1], "document"), pair[1].path, pair[1].method))
    documented = [pair for pair in every if not pair[1].extra]
    extra = [pair for pair in every if pair[1].extra]
    return template("coverage.md.jinja").render(documented=documented, extra=extra, source=_source, cell=_cell)


def _source(operation: Operation, key: str) -> str:
    return str(operation.node.value["x-source"][key])


def _cell(text: str) -> str:
    """Text with escaped column separators."""
    return text.replace("|", "\\|")
