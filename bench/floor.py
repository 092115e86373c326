"""The floor: the rows that one order leaves in the product's databases, written by plain SQL in one transaction.

No HTTP, no validation, no second commit, no separate databases: what nothing that keeps these books can beat.
pgbench runs it on PostgreSQL; on SQLite one thread does, because there is one writer.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench import databases
from bench.load import Tally
from tools.servers import binary

PRODUCTS = 1000

_TABLES = """
CREATE TABLE stock (id bigint PRIMARY KEY, product_id bigint NOT NULL UNIQUE, on_hand bigint NOT NULL,
  reserved bigint NOT NULL, updated_at timestamp NOT NULL, CHECK (0 <= reserved), CHECK (reserved <= on_hand));
CREATE TABLE idempotency (id SERIAL, scope text NOT NULL, key text NOT NULL, fingerprint text NOT NULL,
  resource text NOT NULL, status int, answer text NOT NULL, created_at timestamp NOT NULL, UNIQUE (scope, key));
CREATE TABLE orders (order_id text PRIMARY KEY, customer_id bigint, email text, status text, payment_status text,
  currency text, subtotal bigint, tax bigint, shipping bigint, total bigint, step text, next_at timestamp,
  lease_owner text, lease_until timestamp, version int, created_at timestamp NOT NULL, updated_at timestamp);
CREATE INDEX orders_due ON orders (next_at);
CREATE INDEX orders_newest ON orders (created_at, order_id);
CREATE INDEX orders_customer ON orders (customer_id, created_at);
CREATE INDEX orders_status ON orders (status, created_at);
CREATE TABLE line (id SERIAL, order_id text NOT NULL, line_no int, product_id bigint, sku text, name text,
  quantity int, unit_price bigint);
CREATE INDEX line_order ON line (order_id);
CREATE TABLE timeline (id SERIAL, order_id text NOT NULL, at timestamp, event text, actor text);
CREATE INDEX timeline_order ON timeline (order_id);
CREATE TABLE reservation (id SERIAL, key text NOT NULL UNIQUE, order_id text, fingerprint text, status text,
  expires_at timestamp, created_at timestamp, updated_at timestamp);
CREATE INDEX reservation_order ON reservation (order_id);
CREATE INDEX reservation_due ON reservation (status, expires_at);
CREATE TABLE allocation (id SERIAL, reservation text NOT NULL, stock_id bigint NOT NULL, quantity int, state text,
  lapses_at timestamp, UNIQUE (reservation, stock_id));
CREATE INDEX allocation_lapse ON allocation (stock_id, lapses_at);
CREATE TABLE movement (id SERIAL, product_id bigint, warehouse text, delta bigint, on_hand bigint, reason text,
  order_id text, actor text, at timestamp);
CREATE INDEX movement_place ON movement (product_id, warehouse);
CREATE INDEX movement_order ON movement (order_id);
CREATE TABLE request (order_id text PRIMARY KEY, amount bigint, currency text, state text, updated_at timestamp);
CREATE TABLE payment (id SERIAL, order_id text, amount bigint, captured bigint, status text, reference text,
  nonce text, next_at timestamp, captured_at timestamp, created_at timestamp);
CREATE INDEX payment_order ON payment (order_id);
CREATE INDEX payment_due ON payment (status, next_at);
CREATE INDEX payment_age ON payment (created_at);
CREATE TABLE consignment (order_id text PRIMARY KEY, created_at timestamp);
CREATE TABLE shipment (id SERIAL, order_id text, warehouse text, tracking_no text UNIQUE, status text,
  dispatched_at timestamp, created_at timestamp, UNIQUE (order_id, warehouse));
CREATE INDEX shipment_status ON shipment (status, created_at);
CREATE TABLE shipment_event (id SERIAL, order_id text, status text, actor text, at timestamp);
CREATE TABLE outbox (id SERIAL, event_id text, name text, aggregate_id text, payload text, created_at timestamp,
  delivered_at timestamp);
CREATE INDEX outbox_due ON outbox (delivered_at, created_at);
CREATE TABLE inbox (event_id text PRIMARY KEY, name text, received_at timestamp);
CREATE TABLE notification (id SERIAL, kind text, recipient text, subject text, message text, order_id text,
  dedupe_key text UNIQUE, status text, next_at timestamp, created_at timestamp);
CREATE INDEX notification_due ON notification (status, next_at);
CREATE INDEX notification_order ON notification (order_id);
CREATE TABLE attempt (id SERIAL, dedupe_key text, answer text, at timestamp);
"""
_ORDER = "'ORD-01M8PG1N456VY' || :number"
_NOW = "CURRENT_TIMESTAMP"
_DIGEST = "'d8fabbe0e805f7262d3bff91ac6cd7cd8697c5fb54b2340808ac6a8fda8167cd'"
_STATEMENTS = f"""
INSERT INTO idempotency (scope, key, fingerprint, resource, answer, created_at)
  VALUES ('staff-1.orders.place', :number || '', {_DIGEST}, {_ORDER}, '', {_NOW})
INSERT INTO orders VALUES ({_ORDER}, :customer, '', 'PENDING', 'UNPAID', 'USD', 19998, 1000, 1000, 21998, 'place',
  {_NOW}, '9d3f', {_NOW}, 1, {_NOW}, {_NOW})
INSERT INTO line (order_id, line_no, product_id, sku, name, quantity, unit_price)
  VALUES ({_ORDER}, 1, :product, 'HEADSET-01', 'Wireless Headset', 2, 9999)
UPDATE stock SET reserved = reserved + 2, updated_at = {_NOW} WHERE product_id = :product AND on_hand >= reserved + 2
INSERT INTO reservation (key, order_id, fingerprint, status, expires_at, created_at, updated_at)
  VALUES ({_ORDER}, {_ORDER}, {_DIGEST}, 'RESERVED', {_NOW}, {_NOW}, {_NOW})
INSERT INTO allocation (reservation, stock_id, quantity, state) VALUES ({_ORDER}, :product, 2, 'OPEN')
INSERT INTO request VALUES ({_ORDER}, 21998, 'USD', 'PAYING', {_NOW})
INSERT INTO payment (order_id, amount, captured, status, reference, nonce, next_at, created_at)
  VALUES ({_ORDER}, 21998, 0, 'PENDING', '', '5a3a98d96d7d6bde', {_NOW}, {_NOW})
UPDATE payment SET captured = 21998, status = 'COMPLETED', reference = 'sbx_f1b09f0ee006ff6d', captured_at = {_NOW}
  WHERE order_id = {_ORDER}
UPDATE request SET state = 'PAID', updated_at = {_NOW} WHERE order_id = {_ORDER}
INSERT INTO consignment VALUES ({_ORDER}, {_NOW})
INSERT INTO shipment (order_id, warehouse, tracking_no, status, dispatched_at, created_at)
  VALUES ({_ORDER}, 'WH001', 'ECI' || :number, 'SHIPPED', {_NOW}, {_NOW})
INSERT INTO shipment_event (order_id, status, actor, at) VALUES ({_ORDER}, 'SHIPPED', 'orders', {_NOW})
UPDATE allocation SET state = 'SHIPPED' WHERE reservation = {_ORDER} AND state = 'OPEN'
UPDATE stock SET on_hand = on_hand - 2, reserved = reserved - 2, updated_at = {_NOW} WHERE product_id = :product
INSERT INTO movement (product_id, warehouse, delta, on_hand, reason, order_id, actor, at)
  SELECT :product, 'WH001', -2, on_hand, 'shipment', {_ORDER}, 'orders', {_NOW} FROM stock WHERE product_id = :product
UPDATE reservation SET status = 'SHIPPED', updated_at = {_NOW} WHERE key = {_ORDER}
INSERT INTO timeline (order_id, at, event, actor) VALUES ({_ORDER}, {_NOW}, 'placed', 'staff-1'),
  ({_ORDER}, {_NOW}, 'confirmed', 'system'), ({_ORDER}, {_NOW}, 'shipped', 'system')
UPDATE orders SET status = 'SHIPPED', payment_status = 'PAID', step = 'done', next_at = NULL, lease_owner = '',
  lease_until = NULL, version = 2, updated_at = {_NOW} WHERE order_id = {_ORDER}
UPDATE idempotency SET status = 201, answer = '{"x" * 1500}'
  WHERE scope = 'staff-1.orders.place' AND key = :number || ''
INSERT INTO outbox (event_id, name, aggregate_id, payload, created_at)
  VALUES (:number || 'a', 'orders.order_confirmed.v1', {_ORDER}, '{"x" * 110}', {_NOW}),
  (:number || 'b', 'shipping.shipment_dispatched.v1', {_ORDER}, '{"x" * 170}', {_NOW})
INSERT INTO inbox VALUES (:number || 'a', 'orders.order_confirmed.v1', {_NOW}),
  (:number || 'b', 'shipping.shipment_dispatched.v1', {_NOW})
INSERT INTO notification (kind, recipient, subject, message, order_id, dedupe_key, status, next_at, created_at)
  VALUES ('order_confirmation', 'c1@example.com', 'confirmed', '{"x" * 180}', {_ORDER}, :number || 'a', 'SENT', {_NOW},
  {_NOW}), ('shipping_confirmation', 'c1@example.com', 'sent', '{"x" * 150}', {_ORDER}, :number || 'b', 'SENT', {_NOW},
  {_NOW})
INSERT INTO attempt (dedupe_key, answer, at) VALUES (:number || 'a', 'Accepted.', {_NOW}),
  (:number || 'b', 'Accepted.', {_NOW})
"""


def statements() -> Iterator[str]:
    """The order's statements; a line that is not indented begins one."""
    found: list[str] = []
    for line in _STATEMENTS.strip().splitlines():
        if found and not line.startswith(" "):
            yield " ".join(found)
            found = []
        found.append(line.strip())
    yield " ".join(found)


def tally_of(log: Iterable[str], clients: int) -> Tally:
    """From pgbench's lines: client, transaction, µs it took, script, and the second and µs at which it ended."""
    tally, begun, ended = Tally(clients), [], []
    for line in log:
        fields = line.split()
        took, end = int(fields[2]) / 1e6, int(fields[4]) + int(fields[5]) / 1e6
        tally.times.append(took * 1000)
        begun.append(end - took)
        ended.append(end)
    tally.seconds = max(ended, default=0.0) - min(begun, default=0.0)
    return tally


class Floor:
    """On an empty database of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.is_postgres = url.startswith("postgres")

    def prepare(self) -> None:
        serial = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" if self.is_postgres else "INTEGER PRIMARY KEY"
        connection = databases.connect(self.url)
        for statement in _TABLES.replace("SERIAL", serial).split(";\n"):
            connection.execute(statement)
        values = ", ".join(f"({number}, {number}, 1000000000, 0, {_NOW})" for number in range(1, PRODUCTS + 1))
        connection.execute(f"INSERT INTO stock VALUES {values}")
        connection.close()

    def run(self, *, clients: int, seconds: float) -> Tally:
        return self._pgbench(clients, seconds) if self.is_postgres else self._sqlite(seconds)

    def _pgbench(self, clients: int, seconds: float) -> Tally:
        script = self.folder / "floor.sql"
        variables = {"number": "random(1, 900000000000000000)", "product": f"random(1, {PRODUCTS})"}
        variables |= {"customer": "random(1, 200)"}
        lines = [f"\\set {name} {value}" for name, value in variables.items()]
        script.write_text("\n".join([*lines, *(f"{one};" for one in ("BEGIN", *statements(), "COMMIT"))]))
        program = binary("pgbench")
        if program is None:
            raise FileNotFoundError("pgbench is not installed; it comes with PostgreSQL")
        prefix = self.folder / f"floor-{time.monotonic_ns()}"
        command = [program, "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--file={script}"]
        command += [f"--time={max(1, round(seconds))}", "--log", f"--log-prefix={prefix}", self.url]
        subprocess.run(command, check=True, capture_output=True)
        lines = []
        for log in self.folder.glob(f"{prefix.name}*"):
            lines += log.read_text().splitlines()
            log.unlink()
        return tally_of(lines, clients)

    def _sqlite(self, seconds: float) -> Tally:
        connection = databases.connect(self.url)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        tally, begun = Tally(1), time.perf_counter()
        todo = list(statements())
        while (began := time.perf_counter()) < begun + seconds:
            values = {"number": random.randrange(9 * 10**17), "product": random.randint(1, PRODUCTS)}
            values["customer"] = random.randint(1, 200)
            connection.execute("BEGIN IMMEDIATE")
            for statement in todo:
                connection.execute(statement, values)
            connection.execute("COMMIT")
            tally.times.append((time.perf_counter() - began) * 1000)
        tally.seconds = time.perf_counter() - begun
        connection.close()
        return tally
