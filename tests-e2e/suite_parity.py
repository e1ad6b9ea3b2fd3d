"""Everything `otcextensions.sdk.cbr.v3` has, the Rust SDK has too.

Runs in the `otc` environment. The table of what answers what is `crates/sdk/tests/parity.json`, whose right-hand
sides the Rust compiler checks; here its left-hand sides are held against the installed package.
"""

import importlib
import inspect
import json
import pathlib
import pkgutil
import unittest

from openstack import fields, resource
from otcextensions.sdk.cbr import v3
from otcextensions.sdk.cbr.v3 import _proxy

TABLE = pathlib.Path(__file__).parent.parent / "crates/sdk/tests/parity.json"

# Every list has these; one answer serves them all.
PAGING = {"limit", "marker", "offset"}


def classes():
    """Gives `module.Class` and the class, for each that the package defines."""
    for module in pkgutil.iter_modules(v3.__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"{v3.__name__}.{module.name}")
        for name, kind in inspect.getmembers(loaded, inspect.isclass):
            if kind.__module__ == loaded.__name__:
                yield f"{module.name}.{name}", kind


def attributes():
    """Gives `module.Class.attribute` for every attribute that a class declares itself, and the id of what can be shown."""
    for name, kind in classes():
        if kind.allow_fetch:
            yield f"{name}.id"
        for attribute, value in vars(kind).items():
            if isinstance(value, fields._BaseComponent):
                yield f"{name}.{attribute}"


def queries():
    """Gives the names that lists can be narrowed by, of classes that can be listed or say more than any class."""
    for name, kind in classes():
        for word in kind._query_mapping._mapping:
            if word in PAGING:
                yield f"query.{word}"
            else:
                yield f"{name}.?{word}"


def calls():
    """Gives `proxy.name` for every public call of the proxy."""
    for name, call in vars(_proxy.Proxy).items():
        if inspect.isfunction(call) and not name.startswith("_"):
            yield f"proxy.{name}"


class Parity(unittest.TestCase):
    """The table against the package."""

    @classmethod
    def setUpClass(cls):
        cls.table = json.loads(TABLE.read_text())

    def test_the_package_is_looked_into(self):
        """A change in the library beneath must not make this suite look at nothing."""
        self.assertGreater(len(set(classes())), 30)
        self.assertGreater(len(set(attributes())), 150)
        self.assertGreater(len(set(calls())), 30)
        self.assertTrue(all(issubclass(kind, resource.Resource) for _, kind in classes()))

    def test_nothing_is_missing(self):
        for what, names in (
            ("attributes", attributes()),
            ("queries", queries()),
            ("calls", calls()),
        ):
            missing = sorted(set(names) - self.table.keys())
            self.assertEqual(missing, [], f"{what} without an answer in Rust")

    def test_nothing_is_made_up(self):
        known = {*attributes(), *queries(), *calls()}
        self.assertEqual(sorted(self.table.keys() - known), [], "rows for what is not in the package")
