"""The products' packages, the registry, the examples and the reference pages."""

from __future__ import annotations

import json
from collections.abc import Mapping

from .endpoints import Product, template
from .load import Specs, body, responses, walk
from .schemas import Schema


def product_package(product: Product, schemas: Mapping[str, Schema]) -> str:
    """`__init__` of a product: its class, and its names, loaded on first use."""
    modules = {it.class_name: it.name for it in product.resources} | dict.fromkeys(schemas, "models")
    return template("product.py.jinja").render(product=product, modules=modules)


def registry(specs: Specs, products: list[Product]) -> str:
    """The tables of products, operations and secret fields."""
    secrets = {str(node.path[-1]) for document in specs.documents() for node in walk(document) if node.get("x-secret")}
    return template("registry.py.jinja").render(products=products, secrets=sorted(secrets))


def examples(specs: Specs, products: list[Product]) -> str:
    """The documents' own examples, as JSON text by operation."""
    tables: dict[str, dict[str, str]] = {"REQUESTS": {}, "RESPONSES": {}}
    for product in products:
        for operation in (it for resource in product.resources for it in resource.operations):
            for table, media in (("REQUESTS", [body(operation.node)]), ("RESPONSES", responses(operation.node))):
                found = [node.child("examples", "documented") for node in media if node]
                if found and found[0]:
                    value = found[0].target().get("value")
                    tables[table][operation.id] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return template("examples.py.jinja").render(tables=tables)


def reference(product: Product) -> str:
    """The reference page of a product, in Markdown."""
    return template("reference.md.jinja").render(product=product)
