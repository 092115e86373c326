"""Shipments over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from contexts.shipping import models
from contexts.shipping.public.api import shipping
from eci.ids import new_order_id

ADDRESS = dict.fromkeys(("name", "company", "city", "region", "postal_code", "country", "phone"), "") | {"lines": []}


def emitted(order_id: str) -> list[str]:
    rows = models.OutboxEvent.objects.filter(aggregate_id=order_id).order_by("pk")
    return list({row.event_id: row.name for row in rows}.values())


@pytest.fixture
def shipment(api: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.post("/v1/shipments", {"order_id": "EXT-1"}).data
    return made


@pytest.fixture
def ours() -> Any:
    return shipping.create(
        order_id=new_order_id(), customer_id=None, warehouses=("WH1",), address="1 Main Street", city="Springfield"
    )[0]


def test_create_answers_the_shipment_and_get_shows_it_with_its_events(api: Any) -> None:
    body = {"order_id": 1001, "address": "1 Main Street", "city": "Springfield", "carrier": "DHL", "tracking_no": "T-1"}

    answer = api.post("/v1/shipments", body)

    assert answer.status == 201
    made = answer.data
    assert made["created_at"].endswith("Z")
    assert made == {
        "shipment_id": made["shipment_id"],
        "order_id": "1001",
        "carrier": "DHL",
        "tracking_no": "T-1",
        "status": "PENDING",
        "warehouse": None,
        "address": "1 Main Street",
        "city": "Springfield",
        "dispatched_at": None,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "ship_to": ADDRESS | {"lines": ["1 Main Street"], "city": "Springfield"},
        "withheld": [],
        "version": 1,
    }
    events = [{"status": "PENDING", "location": "", "note": "", "actor": "open", "at": made["created_at"]}]
    assert api.get(f"/v1/shipments/{made['shipment_id']}").data == made | {"events": events}


def test_a_tracking_number_is_made_when_none_is_given(api: Any) -> None:
    one, other = (api.post("/v1/shipments", {"order_id": "EXT-1"}).data for _ in range(2))

    assert one["carrier"] == "standard"
    assert one["tracking_no"].startswith("ECI")
    assert one["tracking_no"] != other["tracking_no"]


def test_a_tracking_number_is_unique(api: Any) -> None:
    assert api.post("/v1/shipments", {"order_id": "EXT-1", "tracking_no": "T-1"}).status == 201

    again = api.post("/v1/shipments", {"order_id": "EXT-2", "tracking_no": "T-1"}, key="k")

    assert (again.status, again.code) == (409, "duplicate_tracking_no")
    replay = api.post("/v1/shipments", {"order_id": "EXT-2", "tracking_no": "T-1"}, key="k")
    assert (replay.status, replay.headers["Idempotent-Replayed"]) == (409, "true")


def test_a_key_makes_one_shipment(api: Any) -> None:
    first = api.post("/v1/shipments", {"order_id": "EXT-1"}, key="k")
    again = api.post("/v1/shipments", {"order_id": "EXT-1"}, key="k")
    other = api.post("/v1/shipments", {"order_id": "EXT-2"}, key="k")

    assert (again.status, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert models.Shipment.objects.count() == 1


@pytest.mark.parametrize(
    ("status", "news"),
    [
        ("PACKED", []),
        ("IN_TRANSIT", ["shipping.shipment_dispatched.v1"]),
        ("DELIVERED", ["shipping.shipment_dispatched.v1", "shipping.shipment_delivered.v1"]),
    ],
)
def test_a_shipment_may_begin_further_along(api: Any, status: str, news: list[str]) -> None:
    made = api.post("/v1/shipments", {"order_id": "EXT-1", "status": status}).data

    assert made["status"] == status
    assert (made["dispatched_at"] is not None) == bool(news)
    assert emitted("EXT-1") == news


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": None}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"order_id": True}, "order_id"),
        ({"status": "CANCELLED"}, "status"),
        ({"status": "RETURNED"}, "status"),
        ({"status": "pending"}, "status"),
        ({"status": ["PENDING"]}, "status"),
        ({"carrier": 7}, "carrier"),
        ({"carrier": ""}, "carrier"),
        ({"tracking_no": "a/b"}, "tracking_no"),
        ({"tracking_no": "a\nb"}, "tracking_no"),
        ({"tracking_no": "x" * 65}, "tracking_no"),
        ({"address": {"street": {"name": "1 Main Street"}}}, "address"),
        ({"address": {"city": "Oz"}, "ship_to": {"city": "Oz"}}, "address"),
        ({"ship_to": "1 Main St", "postal_code": 12345}, "postal_code"),
        ({"ship_to": {"zip": "1"}, "zip": "2"}, "zip"),
        ({"ship_to": {"zip": "1"}, "postcode": "2"}, "postcode"),
        ({"zip": "1", "postcode": "2"}, "postcode"),
        ({"address": {"street": "s", "city": "Oz"}, "city": "Ur"}, "city"),
        ({"ship_to": {"street": "s", "city": "Oz"}, "address": "t"}, "address"),
        ({"ship_to": "1 Main St", "address": "2 Main St"}, "address"),
        ({"ship_to": {"country": "US"}, "country_code": "DE"}, "country_code"),
        ({"address": "1 Main St", "phone": "12"}, "phone"),
        ({"ship_to": {"telephone": ["+49 30 12345", "+49 30 12346"]}}, "ship_to"),
        ({"ship_to": {"a\nb": "c"}}, "ship_to"),
        ({"city": "x" * 201}, "city"),
        ({"city": "Spring\nfield"}, "city"),
        ({"carrier": "D\u2028HL"}, "carrier"),
        ({"carrier": "\u200b"}, "carrier"),
        ({"ship_to": {"zip": 12345}}, "ship_to"),
        ({"ship_to": {"name": "Ann\x07"}}, "ship_to"),
    ],
)
def test_a_malformed_shipment_is_refused_by_field(api: Any, change: dict[str, Any], field: str) -> None:
    answer = api.post("/v1/shipments", {"order_id": "EXT-1"} | change)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert list(answer.details) == [field]


def test_an_order_of_ours_makes_its_own_shipments(api: Any, ours: Any) -> None:
    answer = api.post("/v1/shipments", {"order_id": ours.order_id})
    assert (answer.status, answer.code) == (409, "owned_by_order")

    unknown = api.post("/v1/shipments", {"order_id": "ORD-UNKNOWN"})
    assert (unknown.status, unknown.code) == (404, "not_found")


def test_the_order_of_a_tombstone_is_known(api: Any) -> None:
    order_id = new_order_id()
    shipping.cancel(order_id=order_id)

    assert api.post("/v1/shipments", {"order_id": order_id}).code == "owned_by_order"


def test_the_list_is_filtered_paged_and_newest_first(api: Any) -> None:
    made = [api.post("/v1/shipments", {"order_id": f"EXT-{number % 2}"}).data["shipment_id"] for number in range(5)]
    api.patch(f"/v1/shipments/{made[0]}", {"status": "SHIPPED"})

    first = api.get("/v1/shipments?limit=3")
    assert [row["shipment_id"] for row in first.data] == made[:1:-1]
    second = api.get(first.json["meta"]["next"].replace("http://testserver", ""))
    assert [row["shipment_id"] for row in second.data] == made[1::-1]
    assert second.json["meta"]["next"] is None
    assert [row["shipment_id"] for row in api.get("/v1/shipments?order_id=EXT-1").data] == [made[3], made[1]]
    assert [row["shipment_id"] for row in api.get("/v1/shipments?status=SHIPPED").data] == [made[0]]
    assert [row["shipment_id"] for row in api.get("/v1/shipments?order_id=EXT-1&status=SHIPPED").data] == []


@pytest.mark.parametrize("query", ["status=sent", "limit=0", "limit=101", "cursor=x", "carrier=DHL", "order_id="])
def test_a_malformed_query_is_refused(api: Any, query: str) -> None:
    assert api.get(f"/v1/shipments?{query}").status == 400


def test_a_shipment_walks_all_the_way(api: Any, shipment: dict[str, Any]) -> None:
    path = f"/v1/shipments/{shipment['shipment_id']}"
    for status in ("PACKED", "SHIPPED", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED", "RETURNED"):
        answer = api.patch(path, {"status": status, "location": f"at {status}", "note": "ok"})
        assert (answer.status, answer.data["status"]) == (200, status)
        assert answer.data["shipment_id"] == shipment["shipment_id"]

    seen = api.get(path).data
    assert [event["status"] for event in seen["events"]][1:] == [
        "PACKED",
        "SHIPPED",
        "IN_TRANSIT",
        "OUT_FOR_DELIVERY",
        "DELIVERED",
        "RETURNED",
    ]
    assert seen["events"][2]["location"] == "at SHIPPED"
    assert seen["dispatched_at"] == seen["events"][2]["at"]
    assert emitted("EXT-1") == ["shipping.shipment_dispatched.v1", "shipping.shipment_delivered.v1"]


def test_skipping_over_shipped_dispatches_once(api: Any, shipment: dict[str, Any]) -> None:
    path = f"/v1/shipments/{shipment['shipment_id']}"

    skipped = api.patch(path, {"status": "OUT_FOR_DELIVERY"})
    api.patch(path, {"status": "DELIVERED"})

    assert skipped.data["dispatched_at"] is not None
    assert api.get(path).data["dispatched_at"] == skipped.data["dispatched_at"]
    assert emitted("EXT-1") == ["shipping.shipment_dispatched.v1", "shipping.shipment_delivered.v1"]


def test_the_same_status_again_changes_nothing(api: Any, shipment: dict[str, Any]) -> None:
    path = f"/v1/shipments/{shipment['shipment_id']}"
    shipped = api.patch(path, {"status": "SHIPPED"}).data

    again = api.patch(path, {"status": "SHIPPED", "note": "again"})

    assert (again.status, again.data) == (200, shipped)
    assert len(api.get(path).data["events"]) == 2
    assert emitted("EXT-1") == ["shipping.shipment_dispatched.v1"]


@pytest.mark.parametrize(
    ("way", "refused"),
    [
        (["SHIPPED"], "PACKED"),
        (["SHIPPED"], "CANCELLED"),
        (["CANCELLED"], "PACKED"),
        ([], "RETURNED"),
        (["DELIVERED", "RETURNED"], "DELIVERED"),
    ],
)
def test_other_ways_are_a_409_and_change_nothing(
    api: Any, shipment: dict[str, Any], way: list[str], refused: str
) -> None:
    path = f"/v1/shipments/{shipment['shipment_id']}"
    for status in way:
        assert api.patch(path, {"status": status}).status == 200
    before = api.get(path).data

    answer = api.patch(path, {"status": refused})

    assert (answer.status, answer.code) == (409, "invalid_transition")
    assert api.get(path).data == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"force": True},
        {"status": None},
        {"status": "GONE"},
        {"status": "SHIPPED", "note": 1},
        {"carrier": None},
        {"carrier": "D\nHL"},
        {"tracking_no": ""},
        {"tracking_no": "a/b"},
        {"status": "SHIPPED", "force": 1},
    ],
)
def test_a_malformed_change_is_a_400(api: Any, shipment: dict[str, Any], body: dict[str, Any]) -> None:
    assert api.patch(f"/v1/shipments/{shipment['shipment_id']}", body).status == 400


@pytest.mark.parametrize("path", ["/v1/shipments/999999", "/v1/shipments/x", "/v1/shipments/99999999999999999999"])
def test_an_unknown_shipment_is_a_404(api: Any, path: str) -> None:
    assert api.get(path).status == 404
    assert api.patch(path, {"status": "SHIPPED"}).status == 404


def test_staff_dispatches_and_delivers_an_order_of_ours(api: Any, ours: Any) -> None:
    path = f"/v1/shipments/{ours.shipment_id}"

    assert api.patch(path, {"status": "SHIPPED"}).data["warehouse"] == "WH1"
    assert api.patch(path, {"status": "DELIVERED"}).status == 200

    assert emitted(ours.order_id) == ["shipping.shipment_dispatched.v1", "shipping.shipment_delivered.v1"]
    consumers = {row.consumer for row in models.OutboxEvent.objects.filter(name="shipping.shipment_dispatched.v1")}
    assert consumers == set(settings.ECI_SUBSCRIPTIONS["shipping.shipment_dispatched.v1"])


def test_what_follows_from_a_dispatch_by_staff_follows_at_once(api: Any, ours: Any) -> None:
    api.patch(f"/v1/shipments/{ours.shipment_id}", {"status": "SHIPPED"})

    assert models.OutboxEvent.objects.get(aggregate_id=ours.order_id, consumer="notifications").delivered_at


@pytest.mark.parametrize("status", ["CANCELLED", "RETURNED"])
def test_an_order_of_ours_cancels_and_returns_its_own_shipments(api: Any, ours: Any, status: str) -> None:
    answer = api.patch(f"/v1/shipments/{ours.shipment_id}", {"status": status})

    assert (answer.status, answer.code) == (409, "owned_by_order")


class TestVersions:
    """K2: a shipment that has changed since the caller saw it."""

    def test_if_match_is_obeyed(self, api: Any, shipment: dict[str, Any]) -> None:
        path = f"/v1/shipments/{shipment['shipment_id']}"
        seen = api.get(path).headers["ETag"]
        changed = api.patch(path, {"carrier": "DHL"}, **{"If-Match": seen})
        assert (changed.status, changed.headers["ETag"]) == (200, api.get(path).headers["ETag"])
        assert changed.headers["ETag"] != seen

        for tag in (seen, '"nope"', "nope", '"999"'):
            late = api.patch(path, {"status": "SHIPPED", "carrier": "UPS"}, **{"If-Match": tag})
            assert (late.status, late.code) == (412, "precondition_failed")
        assert (api.get(path).data["status"], api.get(path).data["carrier"]) == ("PENDING", "DHL")
        assert "shipping.shipment_dispatched.v1" not in emitted("EXT-1")
        assert api.patch(path, {"status": "SHIPPED"}, **{"If-Match": "*"}).status == 200

    def test_to_withhold_is_a_change(self, api: Any, ours: Any) -> None:
        path = f"/v1/shipments/{ours.shipment_id}"
        seen = api.get(path).headers["ETag"]
        shipping.withhold(order_id=ours.order_id, warehouse=None, reason="short")
        assert api.patch(path, {"status": "PACKED"}, **{"If-Match": seen}).status == 412


class TestLabels:
    """K7: carrier and tracking number."""

    def test_can_change_until_it_is_delivered_and_the_change_is_announced(self, api: Any, ours: Any) -> None:
        path, name = f"/v1/shipments/{ours.shipment_id}", "shipping.shipment_changed.v1"

        waiting = api.patch(path, {"carrier": " DHL ", "tracking_no": "T-1"})
        assert (waiting.status, waiting.data["carrier"], waiting.data["tracking_no"]) == (200, "DHL", "T-1")
        assert api.get("/v1/shipments/track/T-1").data["carrier"] == "DHL"
        api.patch(path, {"status": "SHIPPED", "tracking_no": "T-2"})
        moved = api.patch(path, {"tracking_no": "T-3"})
        assert (moved.data["status"], moved.data["tracking_no"]) == ("SHIPPED", "T-3")
        assert api.patch(path, {"tracking_no": "T-3", "carrier": "DHL"}).status == 200, "what it has: no effect"

        news = models.OutboxEvent.objects.filter(name=name, consumer="notifications").order_by("pk")
        assert [(row.payload["tracking_no"], row.payload["dispatched"], row.payload["actor"]) for row in news] == [
            ("T-1", False, "open"),
            ("T-2", False, "open"),
            ("T-3", True, "open"),
        ]
        sent = models.OutboxEvent.objects.get(name="shipping.shipment_dispatched.v1", consumer="notifications").payload
        assert (sent["carrier"], sent["tracking_no"], sent["actor"]) == ("DHL", "T-2", "open")
        assert all(row.delivered_at for row in news), "at once"

        assert api.patch(path, {"status": "DELIVERED", "carrier": "UPS"}).data["carrier"] == "UPS"
        late = api.patch(path, {"tracking_no": "T-4"})
        assert (late.status, late.code) == (409, "invalid_transition")
        assert api.patch(path, {"tracking_no": "T-3"}).status == 200
        seen = api.get(path).data
        assert [event["status"] for event in seen["events"]] == [
            "PENDING",
            "PENDING",
            "SHIPPED",
            "SHIPPED",
            "DELIVERED",
        ]
        assert seen["events"][3]["note"] == "tracking_no was T-2"

    def test_of_another_system_s_order_too(self, api: Any, shipment: dict[str, Any]) -> None:
        path = f"/v1/shipments/{shipment['shipment_id']}"
        assert api.patch(path, {"carrier": "DHL"}).data["carrier"] == "DHL"
        api.patch(path, {"status": "CANCELLED"})
        assert api.patch(path, {"carrier": "UPS"}).code == "invalid_transition"

    def test_a_tracking_number_stays_unique(self, api: Any, ours: Any, shipment: dict[str, Any]) -> None:
        path = f"/v1/shipments/{ours.shipment_id}"
        for key in (None, "k", "k"):
            taken = api.patch(path, {"tracking_no": shipment["tracking_no"], "status": "SHIPPED"}, key=key)
            assert (taken.status, taken.code) == (409, "duplicate_tracking_no")
        assert api.get(path).data["status"] == "PENDING"
        assert emitted(ours.order_id) == []

    def test_where_it_is_can_be_noted_without_another_status(self, api: Any, ours: Any) -> None:
        path = f"/v1/shipments/{ours.shipment_id}"
        assert api.patch(path, {"location": "Hub 7", "note": "wet\nbox"}).data["status"] == "PENDING"
        event = api.get(path).data["events"][-1]
        assert (event["status"], event["location"], event["note"]) == ("PENDING", "Hub 7", "wet\nbox")
        assert emitted(ours.order_id) == []

    def test_the_rest_of_an_order_s_shipment_is_the_order_s(self, api: Any, ours: Any) -> None:
        answer = api.patch(f"/v1/shipments/{ours.shipment_id}", {"status": "CANCELLED", "carrier": "DHL"})
        assert (answer.status, answer.code) == (409, "owned_by_order")
        assert api.get(f"/v1/shipments/{ours.shipment_id}").data["carrier"] == "standard"


class TestTheWholeAddress:
    """K7: nothing of it gets lost."""

    def test_is_shown_to_staff_and_not_at_public_tracking(self, api: Any) -> None:
        given = {
            "first_name": "Ann",
            "last_name": "Lee",
            "address1": "1 Main St",
            "address2": "Apt 4",
            "zip": "12345",
            "country_code": "US",
        }
        made = api.post("/v1/shipments", {"order_id": "EXT-1", "ship_to": given, "tracking_no": "T-1"}).data
        whole = ADDRESS | {
            "name": "Ann Lee",
            "lines": ["1 Main St", "Apt 4"],
            "postal_code": "12345",
            "country": "US",
        }
        assert (made["ship_to"], made["address"], made["city"]) == (whole, "1 Main St, Apt 4", "")
        assert api.get(f"/v1/shipments/{made['shipment_id']}").data["ship_to"] == whole
        assert "ship_to" not in api.get("/v1/shipments/track/T-1").data

    @pytest.mark.parametrize("field", ["ship_to", "address"])
    def test_parts_beside_it_belong_to_it(self, api: Any, field: str) -> None:
        rest = {"name": "Ann Lee", "zip": "12345", "province": "NY", "country": "US", "city": "Oz", "status": "PACKED"}
        whole = {"name": "Ann Lee", "city": "Oz", "region": "NY", "postal_code": "12345", "country": "US"}
        for given, lines in (("1 Main St\nApt 4", ["1 Main St", "Apt 4"]), ({"line1": "1 Main St"}, ["1 Main St"])):
            made = api.post("/v1/shipments", {"order_id": "EXT-1", field: given} | rest).data
            assert made["ship_to"] == ADDRESS | whole | {"lines": lines}
            assert (made["city"], made["status"]) == ("Oz", "PACKED")
        made = api.post("/v1/shipments", {"order_id": "EXT-1", "address1": "1 Main St", "lines": [{"sku": "A"}]}).data
        assert (made["ship_to"]["lines"], made["address"]) == (["1 Main St"], "1 Main St")

    def test_is_understood_when_it_comes_back(self, api: Any) -> None:
        given = {"line1": "1 Main St", "line2": "Apt 4", "city": "Oz", "country": "Canada", "phone": "+1 555 0142"}
        made = api.post("/v1/shipments", {"order_id": "EXT-1", "ship_to": given}).data
        back = {name: made[name] for name in ("ship_to", "address", "city")} | {"country_code": "CA"}
        again = api.post("/v1/shipments", {"order_id": "EXT-1"} | back).data
        assert again["ship_to"] == made["ship_to"] | {"lines": ["1 Main St", "Apt 4", "country_code: CA"]}

    def test_a_text_becomes_lines(self, api: Any) -> None:
        body = {"order_id": "EXT-1", "ship_to": "Ann Lee\n1 Main St\n12345 Springfield", "city": "Springfield"}
        made = api.post("/v1/shipments", body).data
        assert made["ship_to"]["lines"] == ["Ann Lee", "1 Main St", "12345 Springfield"]
        assert (made["address"], made["city"]) == ("Ann Lee, 1 Main St, 12345 Springfield", "Springfield")


def test_tracking_shows_the_way_and_nobody(api: Any) -> None:
    body = {"order_id": "EXT-1", "address": "1 Main Street", "city": "Springfield", "tracking_no": "T 1"}
    made = api.post("/v1/shipments", body).data
    api.patch(f"/v1/shipments/{made['shipment_id']}", {"status": "SHIPPED", "location": "Hub 7", "note": "fragile"})

    seen = api.get("/v1/shipments/track/T%201").data

    assert set(seen) == {"tracking_no", "carrier", "status", "events"}
    assert (seen["tracking_no"], seen["status"]) == ("T 1", "SHIPPED")
    assert [(event["status"], event["location"]) for event in seen["events"]] == [("PENDING", ""), ("SHIPPED", "Hub 7")]
    assert all(set(event) == {"status", "location", "at"} for event in seen["events"])
    assert api.get("/v1/shipments/track/UNKNOWN").status == 404


def test_without_open_mode_only_tracking_is_public(api: Any, shipment: dict[str, Any], settings: Any) -> None:
    settings.ECI_OPEN = False

    assert api.get(f"/v1/shipments/track/{shipment['tracking_no']}").status == 200
    assert api.get("/v1/shipments").status == 401
    assert api.post("/v1/shipments", {"order_id": "EXT-1"}).status == 401
    assert api.patch(f"/v1/shipments/{shipment['shipment_id']}", {"status": "SHIPPED"}).status == 401
