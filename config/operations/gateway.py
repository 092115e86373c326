"""nginx's configuration for the gateway: every context on one port, whatever deployment hosts it.

Made from ``config.contexts``. Where contexts are apart, ``/health``, ``/schema`` and ``/docs`` are those of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from config.contexts import CONTEXTS, GATEWAY_PORT

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")  # nginx wants a folder for each of these
MAIN = "orders"  # what belongs to no context goes where it runs: that deployment can reach most others

SHOP = "web:8000"  # where one deployment hosts all, in compose
_REFUSED = "/nginx/refused"  # nobody can ask for it
# All that nginx may say itself, and not of the deployment behind it. A location that has an error_page inherits none.
_OWN = "400 401 403 404 405 406 408 409 410 411 412 413 414 415 416 417 421 422 429 500 501 507"
_HEALTH = "proxy_read_timeout 10s; # who asks waits no longer for one that is frozen"


def files() -> dict[str, str]:
    """What ``manage.py gateway`` writes, by path: the configurations that compose and Kubernetes mount."""
    resolver, main = "127.0.0.11", {"pid": "/tmp/nginx.pid"}  # noqa: S108 - of Docker; in the container
    whole = configuration(dict.fromkeys(CONTEXTS, SHOP), {"8000": None}, resolver=resolver, main=main)
    places = {name: f"{context.service}:8000" for name, context in CONTEXTS.items()}
    listen: dict[str, str | None] = {str(GATEWAY_PORT): None}
    listen |= {str(port): name for name, context in CONTEXTS.items() for port in (context.port, context.demo_port)}
    apart = configuration(places, listen, resolver=resolver, main=main)
    temporary = {f"{kind}_temp_path": f"/tmp/{kind}" for kind in TEMPORARY}  # noqa: S108
    pods = "10.244.0.0/16"  # minikube's, where its Ingress controller is: as ECI_TRUSTED_PROXIES there
    main = main | {"error_log": "stderr error"}
    cluster = configuration(places, {"8000": None}, behind=pods, main=main, http=temporary)
    return {
        "docker/nginx.conf": whole,
        "docker/nginx.services.conf": apart,
        "k8s/overlays/services/nginx.conf": cluster,
    }


_BEHIND = """
  # What a proxy of this network says of its caller is passed on.
  set_real_ip_from {network};
  real_ip_header X-Forwarded-For;
  real_ip_recursive on;
  geo $realip_remote_addr $is_proxy {{ default 0; {network} 1; }}
  map "$is_proxy $http_x_forwarded_proto" $said {{ "1 https" https; default $scheme; }}
"""

_HEAD = """\
# The single entrance. Made by manage.py gateway from config/contexts.py: change it there.
worker_processes 1;
worker_rlimit_nofile 16384;
events {{ worker_connections 8000; }}
{main}
http {{
  access_log off;
  server_tokens off;
  client_max_body_size 1m;
{http}
  # Slow clients keep nobody waiting: web processes get whole requests, and are rid of their answers at once.
  client_header_timeout 10s;
  client_body_timeout 10s;
  send_timeout 10s;
  keepalive_timeout 30s;
  reset_timedout_connection on;
  proxy_request_buffering on;
  proxy_buffering on;
  limit_conn_zone $binary_remote_addr zone=address:10m;
  limit_conn address 256; # as ECI_CONNECTIONS_PER_ADDRESS: web processes do not count those of a trusted proxy
  limit_conn_status 429;

  # A stopping web process refuses new connections; only those requests go to the next process. nginx never repeats a
  # POST or PATCH that it has sent: the client does that, with the same Idempotency-Key.
  proxy_next_upstream error timeout;
  proxy_connect_timeout 2s;
  proxy_send_timeout 10s;
  proxy_read_timeout 60s;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto {scheme};

  # Was anything sent that may have been done? If not, or if its key makes it harmless to send again, the answer is a
  # 503. Else only the client can find out.
  map "$request_method $upstream_connect_time $http_idempotency_key" $unanswered {{
    "~^(GET|HEAD|OPTIONS) " "context_unavailable";
    "~[^ ]$" "context_unavailable";
    "~[0-9]" "no_answer";
    default "context_unavailable";
  }}
  map $unanswered $told {{
    no_answer "did not answer, so this may have been done. Look before you send it again.";
    default "cannot be reached at the moment. Please try again.";
  }}

  # What nginx itself refuses has the product's words.
  map $status $refusal {{
    403 "This is not allowed.";
    404 "There is nothing at this address.";
    405 "This method is not allowed.";
    408 "The request did not arrive within ten seconds.";
    411 "Send the body with a Content-Length header.";
    413 "The request is too large.";
    414 "The URL is too long.";
    416 "The Range asks for what is not there.";
    429 "There are too many connections from your address. Close some, or use them for several requests.";
    431 "The headers are too long.";
    500 "Something went wrong on our side.";
    501 "The Transfer-Encoding is none that is understood. Send a Content-Length.";
    507 "Something went wrong on our side.";
    default "The request is malformed.";
  }}
  map $status $refusal_code {{
    403 permission_denied;
    404 not_found;
    405 method_not_allowed;
    408 request_timeout;
    "~^(413|414|431)$" request_too_large;
    429 throttled;
    "~^(500|507)$" internal_error;
    default validation_error;
  }}
  map $status $refusal_over {{ 429 2; default ""; }}
  map $time_iso8601 $now {{ "~^(?<instant>.+)[+]00:00$" "${{instant}}Z"; default $time_iso8601; }}
  default_type application/json;
  recursive_error_pages on; # the health of all is asked of two deployments before it is refused
"""


_FILES = "^(?:(?:/api/v1/[a-z]+)?/v1/(?:imports|[a-z]+/import)|/admin/[a-z]+/import/add/)$"  # where imports are sent


def configuration(
    places: Mapping[str, str],
    listen: Mapping[str, str | None],
    *,
    resolver: str = "",
    behind: str = "",
    main: Mapping[str, str] | None = None,
    http: Mapping[str, str] | None = None,
) -> str:
    """``places``: host and port by context. ``listen``: by address to listen at, the one context that answers there, or
    None for all. ``resolver``: the server that is asked for the hosts again and again, because containers come and go.
    ``behind``: the network of proxies in front of this one. ``main`` and ``http``: more directives of nginx, by name.
    """
    more = "".join(f"{name} {value};\n" for name, value in (main or {}).items())
    inner = ({"resolver": f"{resolver} valid=2s"} if resolver else {}) | dict(http or {})
    lines = "".join(f"  {name} {value};\n" for name, value in inner.items())
    lines += _BEHIND.format(network=behind) if behind else ""
    text = _HEAD.format(main=more, http=lines, scheme="$said" if behind else "$scheme")
    for address, context in listen.items():
        server = _of_all(places, bool(resolver)) if context is None else _of_one(context, places, bool(resolver))
        text += f"\n  server {{\n    listen {address};\n" + "".join(f"    {line}\n" for line in server) + "  }\n"
    return text + "}\n"


def _of_one(context: str, places: Mapping[str, str], again: bool) -> Iterator[str]:
    yield from _closed()
    if CONTEXTS[context].imports:
        yield from _to(f"location ~ {_FILES}", context, places, again, takes_files=True)
    yield from _to("location /", context, places, again)
    yield from _refusals(apart=True)


def _of_all(places: Mapping[str, str], again: bool) -> Iterator[str]:
    apart = len(set(places.values())) > 1
    yield from _closed()
    if apart:
        for name, context in CONTEXTS.items():
            paths = "|".join(context.paths)
            if context.imports:
                own = [f"/api/v1/{name}/v1/(?:imports|[a-z]+/import)", f"/v1/(?:{paths})/import"]
                own += ["/v1/imports"] if "imports" in context.paths else []
                yield from _to(f"location ~ ^(?:{'|'.join(own)})$", name, places, again, takes_files=True)
            yield from _to(f"location ~ ^/v1/(?:{paths})(?:/|$)", name, places, again)
            yield from _to(f"location ~ ^/api/v1/{name}(?:/|$)", name, places, again)
        yield from _to("location = /.well-known/jwks.json", "customers", places, again)
        for name in CONTEXTS:
            yield from _to(f"location = /health/{name}", name, places, again, is_health=True)
        for path in ("/health", "/v1/health", "/actuator/health"):
            yield from _to(
                f"location = {path}", MAIN, places, again, path="/health/all", refused="another", is_health=True
            )
        yield from _to("location = /schema", MAIN, places, again, path="/schema/all")
        other = next(name for name in CONTEXTS if places[name] != places[MAIN])
        yield "location @another { # the health of all is asked of another deployment"
        yield "  rewrite ^ /health/all break;"
        yield f"  {_HEALTH}"
        yield f"  {_pass(places[other], again)}"
        yield f"  error_page {_OWN} {_REFUSED};"
        yield f"  error_page 502 503 504 = @{MAIN};"
        yield "}"
    else:
        yield from _to(f"location ~ {_FILES}", MAIN, places, again, takes_files=True)
    yield from _to("location /", MAIN, places, again)
    yield from _refusals(apart)


def _closed() -> Iterator[str]:
    """What is not passed on. Prometheus and other contexts ask the web processes directly."""
    yield f"error_page {_OWN} {_REFUSED};"
    yield f"error_page 494 =431 {_REFUSED};"
    yield f"error_page 505 =400 {_REFUSED};"
    yield f"location = {_REFUSED} {{"
    yield "  internal;"
    yield "  add_header Retry-After $refusal_over always;"
    yield f"  return 400 '{_envelope('$refusal', '$refusal_code')}'; # in fact with the status that led here"
    yield "}"
    yield "location = /nginx { return 204; } # whether this server itself runs"
    yield "location ~ ^/(?:internal|metrics)(?:/|$) { return 404; }"


def _to(
    location: str,
    context: str,
    places: Mapping[str, str],
    again: bool,
    *,
    path: str = "",
    refused: str = "",
    takes_files: bool = False,
    is_health: bool = False,
) -> Iterator[str]:
    yield f"{location} {{"
    if is_health:
        yield f"  {_HEALTH}"
    if takes_files:
        yield "  client_max_body_size 101m;"
    yield f"  {_pass(places[context], again, path)}"
    yield f"  error_page {_OWN} {_REFUSED};"
    yield f"  error_page 502 503 504 = @{refused or context};"
    yield "}"


def _pass(place: str, again: bool, path: str = "") -> str:
    if not again:
        return f"proxy_pass http://{place}{path};"
    # A variable makes nginx look the name up again and use all its addresses in turn.
    return f"set $place {place}; proxy_pass http://$place{path + '$is_args$args' if path else ''};"


def _refusals(apart: bool) -> Iterator[str]:
    for name in CONTEXTS if apart else [MAIN]:
        who = f"The {name} service" if apart else "The shop"
        yield f"location @{name} {{"
        yield "  add_header Retry-After 2 always;"
        yield "  add_header Cache-Control no-store always;"
        yield "  if ($unanswered = no_answer) {"
        yield f"    return 502 '{_envelope(f'{who} $told', '$unanswered', name if apart else '')}';"
        yield "  }"
        yield f"  return 503 '{_envelope(f'{who} $told', '$unanswered', name if apart else '')}';"
        yield "}"


def _envelope(error: str, code: str, context: str = "") -> str:
    details = f'{{"context":"{context}"}}' if context else "{}"
    head = '{"status":"error","data":null,"error":"' + error + '","code":"' + code + '","details":' + details
    return head + ',"timestamp":"$now"}'
