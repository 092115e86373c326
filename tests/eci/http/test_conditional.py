"""``If-Match`` and ``ETag``: which versions a client has seen, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from eci.http import conditional
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY
from tests.support.api import Api
from tests.support.routes import routes

NOW = 3


class ThingView(ApiView):
    roles = EVERYBODY
    conditional_methods = ("PATCH",)

    def get(self, request: Request) -> Any:
        return conditional.answer(request, {"name": "x"}, version=NOW)

    def patch(self, request: Request) -> Response:
        return Response({"seen": self.if_match()})

    def put(self, request: Request) -> Response:
        return Response({"put": True})


def ask(method: str, **headers: str) -> Any:
    request = getattr(APIRequestFactory(), method)("/v1/thing", headers=headers)
    return ThingView.as_view()(request)


@pytest.mark.parametrize(
    ("tags", "seen"),
    [
        ("*", None),
        ('"3"', 3),
        ('W/"3"', 3),
        ('"2"', 2),
        ('"2", "3"', 3),
        ('"1","2"', 2),
        ('W/"3" , "abc"', 3),
        (' "3" ', 3),
    ],
)
def test_the_versions_that_a_client_saw(tags: str, seen: int | None) -> None:
    answer = ask("patch", **{"If-Match": tags})
    assert (answer.status_code, answer.data) == (200, {"seen": seen})


def test_without_the_header_any_version_will_do() -> None:
    assert ask("patch").data == {"seen": None}


@pytest.mark.parametrize(
    "tags", ["nope", "3", '"3', "", '"0"', '"-3"', '"x"', '"٣"', '"' + "9" * 11 + '"', "W/3", '"3-gzip"']
)
def test_tags_that_are_none_of_ours_are_refused(tags: str) -> None:
    answer = ask("patch", **{"If-Match": tags})
    assert (answer.status_code, answer.data["code"]) == (412, "precondition_failed")


def test_writes_without_versions_refuse_the_header() -> None:
    """Ignored, it would let a client believe that nothing can be lost."""
    assert ask("put", **{"If-Match": '"3"'}).status_code == 412
    assert ask("put").status_code == 200
    assert ask("get", **{"If-Match": '"9"'}).status_code == 200


def test_a_read_names_its_version_and_is_not_repeated() -> None:
    assert ask("get")["ETag"] == '"3"'
    for tags, status in (('"3"', 304), ('W/"3"', 304), ('"2", "3"', 304), ("*", 304), ('"2"', 200), ("3", 200)):
        answer = ask("get", **{"If-None-Match": tags})
        assert (answer.status_code, answer["ETag"]) == (status, '"3"'), tags


def test_a_kept_answer_is_given_only_to_who_asks_alike() -> None:
    for tags, status in (("", 200), ('"3"', 304)):
        answer = ask("get", **{"If-None-Match": tags})
        assert (answer.status_code, answer["Cache-Control"]) == (status, "no-cache")
        assert {"Accept", "Authorization", "Cookie"} <= set(answer["Vary"].split(", "))


@pytest.mark.parametrize("accept", ["text/html", "application/json; indent=4"])
def test_only_plain_json_has_a_tag(api: Api, db: None, accept: str) -> None:
    product = api.post("/v1/products", {"sku": "A", "name": "A", "price": 1}).data["product_id"]
    path = f"/v1/products/{product}"
    tag = api.get(path).headers["ETag"]
    page = api.client.get(path, headers={"Accept": accept, "If-None-Match": tag})
    assert (page.status_code, page.get("ETag")) == (200, None)
    assert "Accept" in page["Vary"]
    assert ("html" in accept) == (tag.strip('"') in page.content.decode() and "If-Match" in page.content.decode())


def test_no_endpoint_ignores_a_tag_that_is_none_of_ours(api: Api) -> None:
    writes = [(route, method) for route in routes() for method in route.methods if method != "GET"]
    for route, method in writes:
        refused = api.send(method, route.example, {}, **{"If-Match": "nope"})
        assert (refused.status, refused.code) == (412, "precondition_failed"), (method, route.path)


def test_other_origins_may_send_and_read_it(settings: Any) -> None:
    assert "if-match" in settings.CORS_ALLOW_HEADERS
    assert "ETag" in settings.CORS_EXPOSE_HEADERS


def test_the_documents_name_the_header_and_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    from contexts.catalog.http.views import ProductDetailView

    monkeypatch.setattr(ProductDetailView, "conditional_methods", ("PATCH",))
    schema: Any = SchemaGenerator().get_schema(request=None, public=True)
    path = schema["paths"]["/v1/products/{product_id}"]
    names = [parameter["name"] for parameter in path["patch"]["parameters"]]
    assert "If-Match" in names and "412" in path["patch"]["responses"]
    assert "If-Match" not in [parameter["name"] for parameter in path["put"]["parameters"]]
    assert "ETag" in path["get"]["responses"]["200"]["headers"]
