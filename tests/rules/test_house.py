"""docs/architecture.md, "A context, file by file": what a machine can check of it.

Each rule is tried on every module, on a planted violation, and on an example that keeps it.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.contrib import admin

from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY, Role, only
from eci.staff import ReadOnly, StaffAdmin
from tests.rules.source import ROOT, Source, last_name, product, source

pytestmark = pytest.mark.no_database

Found = Iterator[tuple[ast.AST, str]]  # where, and what is wrong


# -- over modules -----------------------------------------------------------------------------------------------------


def has_docstring(module: Source) -> Found:
    if not ast.get_docstring(module.tree):
        yield module.tree, "has no docstring"


def views_end_in_view(module: Source) -> Found:
    if module.place.startswith("http/") and module.place != "http/serializers.py":
        for view in module.derived("View"):
            if not view.name.endswith("View"):
                yield view, f"{view.name} does not end in View"


def serializers_say_their_direction(module: Source) -> Found:
    if module.place.startswith("http/"):
        for serializer in module.derived("Serializer", "In", "Query", "Out"):
            if not serializer.name.endswith(("In", "Query", "Out")):
                yield serializer, f"{serializer.name} ends neither in In nor in Query nor in Out"


def takes_keywords_only(module: Source) -> Found:
    """A list may take ``paging`` first, and a step of a workflow the object it works on, such as a run."""
    room = re.match(r"(services|selectors|composed|workflows)(?:\.py|/)", module.place)
    if room is None:
        return
    for function in module.tree.body:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name.startswith("_"):
            continue
        given = [*function.args.posonlyargs, *function.args.args]
        if given and _may_lead(given[0], room[1]):
            given = given[1:]
        names = [argument.arg for argument in [*given, function.args.vararg] if argument]
        if names:
            yield function, f"{function.name} takes {', '.join(names)} by position"


def _may_lead(argument: ast.arg, room: str) -> bool:
    """An object is of a class such as ``Run``: no number, no text, no collection, no choice of several."""
    if room == "workflows":
        kind = argument.annotation
        return isinstance(kind, ast.Name | ast.Attribute) and last_name(kind)[:1].isupper()
    return room in ("selectors", "composed") and argument.arg == "paging"


def paging_comes_first(module: Source) -> Found:
    if module.place not in ("selectors.py", "composed.py"):
        return
    for function in module.tree.body:
        if isinstance(function, ast.FunctionDef):
            names = [argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]]
            if "paging" in names[1:]:
                yield function, f"{function.name} does not take paging first"


def inherited_meta_is_not_repeated(module: Source) -> Found:
    for meta in module.classes():
        if meta.name == "Meta" and meta.bases and all(isinstance(node, ast.Pass | ast.Expr) for node in meta.body):
            yield meta, f"class Meta({ast.unparse(meta.bases[0])}) says nothing"


_DECLARED = {name for name, kind in ApiView.__annotations__.items() if "ClassVar" in str(kind)}


def declared_once(module: Source) -> Found:
    """ApiView declares these as ClassVar, so that no view need do so."""
    for view in module.derived("View"):
        for node in view.body:
            if view.name != "ApiView" and isinstance(node, ast.AnnAssign) and last_name(node.target) in _DECLARED:
                yield node, f"{view.name}.{last_name(node.target)} is annotated again"


def docstrings_describe_endpoints(module: Source) -> Found:
    for call in ast.walk(module.tree):
        if not isinstance(call, ast.Call) or last_name(call.func) != "extend_schema":
            continue
        if any(keyword.arg == "description" for keyword in call.keywords):
            yield call, "extend_schema(description=...): make it the method's docstring"


def speaks_no_http(module: Source) -> Found:
    """Adapters do, for they call providers. A refusal's own status is the contract's, where it is not a success."""
    if not module.context or module.place.startswith(("http/", "adapters/")):
        return
    for node in ast.walk(module.tree):
        if any(name.split(".")[0] == "rest_framework" or name == "http" for name in _imported(node)):
            yield node, "imports what speaks HTTP"
        elif any(_is_success(value) for value in _answered(node)) or any(map(_is_status, _compared(node))):
            yield node, f"an HTTP status: {ast.unparse(node)}"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def _answered(node: ast.AST) -> list[ast.expr]:
    """What is given as a status: ``status=…``, ``return …``, ``return …, data``."""
    if isinstance(node, ast.keyword) and node.arg == "status":
        return [node.value]
    if isinstance(node, ast.Assign) and any(last_name(target) == "status" for target in node.targets):
        return [node.value]
    if isinstance(node, ast.AnnAssign) and last_name(node.target) == "status" and node.value:
        return [node.value]
    if isinstance(node, ast.Return) and node.value:
        return node.value.elts[:1] if isinstance(node.value, ast.Tuple) else [node.value]
    return []


def _compared(node: ast.AST) -> list[ast.expr]:
    """What a status is compared with."""
    if not isinstance(node, ast.Compare) or last_name(node.left) not in ("status", "status_code"):
        return []
    return [one for other in node.comparators for one in getattr(other, "elts", [other])]


def _is_status(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and 100 <= node.value < 600


def _is_success(node: ast.expr) -> bool:
    return _is_status(node) and ast.literal_eval(node) < 300


@dataclass(frozen=True)
class Rule:
    """``path``: where the examples stand. A line of its own for each part of an example that must be found."""

    check: Callable[[Source], Found]
    path: str
    violations: tuple[str, ...]
    example: str


RULES = (
    Rule(has_docstring, "eci/planted.py", ("LIMIT = 1",), '"""Says what it is for."""\nLIMIT = 1'),
    Rule(
        views_end_in_view,
        "contexts/catalog/http/views.py",
        (
            "class Products(ApiView): ...",
            "class Products(views.ApiView): ...",
            "class ListView(ApiView): ...\nclass Products(ListView): ...",
        ),
        "class ProductListView(ApiView): ...\nclass Position: ...",
    ),
    Rule(
        serializers_say_their_direction,
        "contexts/catalog/http/serializers.py",
        (
            "class Product(serializers.Serializer[Any]): ...",
            "class ProductFilter(QuerySerializer): ...",
            "class ProductIn(Serializer[Any]): ...\nclass NewProduct(ProductIn): ...",
        ),
        "class ProductIn(serializers.Serializer[Any]): ...\nclass SkuField(TextField): ...",
    ),
    Rule(
        takes_keywords_only,
        "contexts/catalog/selectors.py",
        (
            "def product(product_id: int) -> Row: ...",
            "def products(*product_ids: int) -> list[Row]: ...",
            "def products(category: str, *, paging: Paging) -> list[Row]: ...",
            "def product(product: Product) -> Row: ...",
        ),
        "def products(paging: Paging, *, category: str) -> list[Row]: ...\n"
        "def statistics() -> Statistics: ...\ndef _one(product_id: int) -> Row: ...",
    ),
    Rule(
        takes_keywords_only,
        "contexts/orders/workflows/forward.py",
        (
            "def place(order_id: str) -> Order: ...",
            "def place(run: Run, order_id: str) -> Order: ...",
            "def place(paging: list[Run]) -> Order: ...",
        ),
        "def place(run: Run, *, again: bool) -> Order: ...\ndef recover(*, limit: int) -> int: ...",
    ),
    Rule(
        takes_keywords_only,
        "contexts/catalog/services.py",
        ("def create_product(paging: Paging) -> Row: ...", "async def create(product: Product) -> Row: ..."),
        "def create_product(*, sku: str) -> Row: ...\nclass Rows:\n    def of(self, sku: str) -> Row: ...",
    ),
    Rule(
        paging_comes_first,
        "contexts/catalog/selectors.py",
        (
            "def products(*, category: str, paging: Paging) -> list[Row]: ...",
            "def products(category: str, *, paging: Paging) -> list[Row]: ...",
        ),
        "def products(*, paging: Paging, category: str) -> list[Row]: ...\n"
        "def categories(paging: Paging, *, category: str) -> list[Row]: ...",
    ),
    Rule(
        inherited_meta_is_not_repeated,
        "contexts/catalog/models.py",
        ("class InboxEvent(InboxRow):\n    class Meta(InboxRow.Meta):\n        pass",),
        "class InboxEvent(InboxRow):\n    class Meta(InboxRow.Meta):\n        ordering = ['pk']\n"
        "class OutboxEvent(OutboxRow): ...",
    ),
    Rule(
        declared_once,
        "contexts/catalog/http/views.py",
        (
            "class ProductView(ApiView):\n    roles: ClassVar[Roles] = EVERYBODY",
            "class ProductView(ApiView):\n    rate: ClassVar = {}",
            "class ProductView(ApiView):\n    keyed_methods: tuple[str, ...] = ()",
        ),
        "class ProductView(ApiView):\n    roles = EVERYBODY\n    names: ClassVar[dict[str, str]] = {}",
    ),
    Rule(
        docstrings_describe_endpoints,
        "contexts/catalog/http/views.py",
        ("@extend_schema(responses=ProductOut, description='One product.')\ndef get(self): ...",),
        "@extend_schema(parameters=[OpenApiParameter('q', description='Words.')])\ndef get(self):\n    'One product.'",
    ),
    Rule(
        speaks_no_http,
        "contexts/orders/workflows.py",
        (
            "from rest_framework.response import Response",
            "import rest_framework",
            "from http import HTTPStatus",
            "def cancel():\n    return 202, order",
            "def outcome():\n    return 201",
            "answer = Answer(status=200)",
            "class Unknown(EciError):\n    status = 202",
            "class Unknown(EciError):\n    status: int = 202",
            "if refusal.status not in (404, 409): ...",
            "if answer.status_code == 200: ...",
        ),
        "class Declined(EciError):\n    status = 402\n"
        "def recover():\n    return 1\n"
        "BATCH = 200\norder.status = OrderStatus.PLACED\nrows.filter(status=OrderStatus.PLACED)",
    ),
    Rule(speaks_no_http, "contexts/orders/http/views.py", (), "from rest_framework.response import Response"),
)


@pytest.mark.parametrize("check", dict.fromkeys(rule.check for rule in RULES), ids=lambda check: check.__name__)
def test_every_module_keeps_the_rule(check: Callable[[Source], Found]) -> None:
    found = [
        f"{module.path}:{getattr(node, 'lineno', 1)}: {what}" for module in product() for node, what in check(module)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.check.__name__)
def test_a_planted_violation_is_found_and_a_good_example_is_not(rule: Rule) -> None:
    for violation in rule.violations:
        assert len(list(rule.check(source(rule.path, violation)))) == 1, violation
    assert list(rule.check(source(rule.path, rule.example))) == []


def test_the_rules_read_the_whole_product() -> None:
    paths = {module.path for module in product()}
    assert {"eci/http/views.py", "config/settings.py", "contexts/orders/http/views.py"} <= paths
    assert len({module.context for module in product() if module.context}) == 7


# -- over classes -----------------------------------------------------------------------------------------------------


def wrong_roles(view: type[ApiView]) -> list[Any]:
    """What stands in ``roles`` and is no set of Role: letters, lists, methods in small letters."""
    roles = view.roles
    by_method = roles if isinstance(roles, Mapping) else {"GET": roles}
    return [
        (method, given)
        for method, given in by_method.items()
        if not (method.isupper() and isinstance(given, frozenset) and all(isinstance(role, Role) for role in given))
    ]


def _views() -> Iterator[type[ApiView]]:
    for module in product():
        if module.path.endswith("/views.py"):
            for found in vars(importlib.import_module(module.name)).values():
                if isinstance(found, type) and issubclass(found, ApiView) and found.__module__ == module.name:
                    yield found


def test_views_name_roles_by_the_enum() -> None:
    assert {str(view): wrong for view in _views() if (wrong := wrong_roles(view))} == {}
    assert len(list(_views())) > 40


@pytest.mark.parametrize(
    "roles", ["KS", frozenset("KS"), {"GET": EVERYBODY, "POST": "K"}, [Role.STOCK], {"get": EVERYBODY}]
)
def test_letters_are_no_roles(roles: Any) -> None:
    assert wrong_roles(type("PlantedView", (ApiView,), {"roles": roles}))


@pytest.mark.parametrize("roles", [EVERYBODY, only(Role.STOCK), {"GET": EVERYBODY, "POST": only(Role.CATALOG)}])
def test_sets_of_role_are_roles(roles: Any) -> None:
    assert wrong_roles(type("PlantedView", (ApiView,), {"roles": roles})) == []


def is_staffs(page: type) -> bool:
    """Django's own pages are its own affair."""
    return issubclass(page, StaffAdmin) or page.__module__.startswith("django.")


def test_every_admin_is_a_staff_admin() -> None:
    pages = {type(page) for page in admin.site._registry.values()}
    found = sorted(f"{page.__module__}.{page.__name__}" for page in pages if not is_staffs(page))
    assert not found, "\n" + "\n".join(found)
    assert len([page for page in pages if page.__module__.startswith("contexts.")]) > 10


def test_an_admin_of_another_base_is_found() -> None:
    planted = {"__module__": "contexts.planted.admin"}
    assert not is_staffs(type("PlantedAdmin", (ReadOnly, admin.ModelAdmin), planted))
    assert is_staffs(type("PlantedAdmin", (ReadOnly, StaffAdmin), planted))


# -- over files -------------------------------------------------------------------------------------------------------


def named_files(page: str) -> tuple[str, ...]:
    """The first column of the page's table: files, and folders with ``/`` at the end."""
    section = page.split("## A context, file by file", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
    columns = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return tuple(name for column in columns for name in re.findall(r"`([^`]+)`", column))


def unnamed_files(contexts: Path, named: tuple[str, ...]) -> list[str]:
    """Files of contexts that the page does not name. ``__init__.py`` needs no row."""
    found = []
    for path in sorted(contexts.glob("*/**/*")):
        place = path.relative_to(contexts).as_posix().partition("/")[2]
        if not path.is_file() or path.name == "__init__.py" or "__pycache__" in path.parts:
            continue
        if not any(place == name or (name.endswith("/") and place.startswith(name)) for name in named):
            found.append(str(path.relative_to(contexts.parent)))
    return found


def test_every_file_of_a_context_is_named_on_the_page() -> None:
    named = named_files((ROOT / "docs/architecture.md").read_text())
    assert {"http/views.py", "services.py", "services/", "public/"} <= set(named)
    found = unnamed_files(ROOT / "contexts", named)
    assert not found, "\n" + "\n".join(found)


def test_a_file_that_the_page_does_not_name_is_found(tmp_path: Path) -> None:
    page = dedent("""\
        ## A context, file by file

        | file | job |
        |---|---|
        | `http/views.py` | endpoints, through `eci/http/commands.py` |
        | `services.py`, `services/` | writes |

        ### Words

        | `utils.py` | |
        """)
    for name in (
        "services.py",
        "services/holds.py",
        "http/views.py",
        "http/__init__.py",
        "utils.py",
        "http/helpers.py",
    ):
        path = tmp_path / "contexts/planted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert unnamed_files(tmp_path / "contexts", named_files(page)) == [
        "contexts/planted/http/helpers.py",
        "contexts/planted/utils.py",
    ]
