// Makes the Postman collections and the Bruno folder from the OpenAPI document on standard input: `make postman`.
// An argument names another folder to make them in than the project's.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { steps, variables } from "./workflow.mjs";

const require = createRequire(import.meta.url);
const { convertV2 } = require("openapi-to-postmanv2");
const { postmanToBruno } = require("@usebruno/converters");
const bruno = require("@usebruno/filestore");

const ROOT = resolve(process.argv[2] ?? join(import.meta.dirname, "../.."));
const SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
const examples = JSON.parse(readFileSync(join(import.meta.dirname, "examples.json")));

// A collection for each service: its name, its file, and the document's tags that it has.
const COLLECTIONS = [
  ["Catalog Service API", "catalog-service/postman/Catalog-Service-API.postman_collection.json", ["catalog"]],
  ["CustomerService API", "customerservice/postman/CustomerService API.postman_collection.json", ["customers", "people"]],
  ["Inventory API", "inventoryservice/postman/Inventory API.postman_collection.json", ["inventory"]],
  ["Payment API", "paymentservice/postman/Payment API.postman_collection.json", ["payments"]],
  ["Order API", "orderservice/postman/Order API.postman_collection.json", ["orders"]],
  ["Shipment API", "shipmentservice/postman/Shipment API.postman_collection.json", ["shipping"]],
  ["Notification API", "notificationservice/postman/Notification API.postman_collection.json", ["notifications"]],
];
const WORKFLOW = ["ECI Workflow", "demo/postman/ECI-Workflow.postman_collection.json"];
const BRUNO = join(ROOT, "demo/bruno");

const VARIABLES = { baseUrl: "http://127.0.0.1:8000", token: "" };
// What a path names, where a fresh demo shop has it. Ids that it has not are filled in by whoever sends the request.
const KNOWN = {
  product_id: "1", customer_id: "1", inventory_id: "1", code: "WH001", sku: "HEADSET-01", reservation_key: "demo-hold",
};

const WAIT = "setTimeout(() => {}, 500);"; // Postman goes on when no timer is left
const HELP =
  "Made from the OpenAPI document by `make postman`. `baseUrl` is where the shop, its gateway or this service is; `token` is " +
  "an access token, needed where the shop is closed.";
// No header at all where there is no token: an empty one is refused.
const SIGN_IN =
  "if (pm.variables.get('token')) {\n  pm.request.headers.upsert({key: 'Authorization', value: 'Bearer ' + pm.variables.get('token')});\n}";

// What an answer names is what the next request is about.
const KEEP =
  "let found = {};\ntry {\n  found = pm.response.json().data || {};\n} catch (error) {\n  // no JSON: a 204, a file\n}\n" +
  "for (const name of Object.keys(found)) {\n" +
  "  if (/_(id|no)$/.test(name) && found[name]) pm.collectionVariables.set(name, String(found[name]));\n}";

function script(listen, text) {
  return { listen, script: { type: "text/javascript", exec: text.split("\n") } };
}

function collection([name], description, item, values, event = []) {
  return {
    info: { name, description: { content: description, type: "text/markdown" }, schema: SCHEMA },
    item,
    event: [script("prerequest", SIGN_IN), ...event],
    variable: Object.entries(values).map(([key, value]) => ({ key, value })),
  };
}

/** A key in the body is the command's own, but where it is a reservation's name. */
function hasKey(path, body) {
  return Boolean(body?.idempotency_key) && !/\/(confirm|release|ship)$/.test(path);
}

/** `"{{product_id}}"` becomes `{{product_id}}`: ids are numbers. */
function raw(body) {
  return JSON.stringify(body, null, 2).replace(/"(\{\{(?:product|customer)_id\}\})"/g, "$1");
}

// -- from the document --------------------------------------------------------------------------------------------------

/** What stands in for a value of this schema: required fields only. */
function placeholder(schema, document) {
  if (schema.$ref) return placeholder(document.components.schemas[schema.$ref.split("/").pop()], document);
  if ("default" in schema) return schema.default;
  const one = schema.enum?.[0] ?? (schema.oneOf ?? schema.anyOf ?? schema.allOf)?.[0];
  if (one !== undefined) return typeof one === "object" && one !== null ? placeholder(one, document) : one;
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return [placeholder(schema.items, document)];
  if (type === "integer" || type === "number") return 1;
  if (type === "boolean") return true;
  if (type !== "object") return "";
  const required = Object.entries(schema.properties ?? {}).filter(([name]) => schema.required?.includes(name));
  return Object.fromEntries(required.map(([name, inner]) => [name, placeholder(inner, document)]));
}

/** The part of the document with these tags, with an example for whatever the converter would invent. */
function part(document, tags) {
  const paths = {};
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (!operation.tags?.some((tag) => tags.includes(tag))) continue;
      const own = structuredClone(operation);
      for (const parameter of own.parameters ?? []) {
        parameter.example =
          parameter.in === "path" ? `{{${parameter.name}}}` : (parameter.schema.default ?? (parameter.required ? "1" : ""));
      }
      for (const content of Object.values(own.requestBody?.content ?? {})) {
        content.example =
          examples[`${method.toUpperCase()} ${path}`] ?? placeholder(content.schema, document);
        delete content.examples;
      }
      own.responses = { 200: { description: "" } }; // what is answered stands in /docs
      paths[path] = { ...paths[path], [method]: own };
    }
  }
  return { ...document, paths };
}

function converted(document) {
  const options = {
    parametersResolution: "Example", folderStrategy: "Tags", requestNameSource: "URL", alwaysInheritAuthentication: true,
    enableOptionalParameters: false,
  };
  return new Promise((done, refused) =>
    convertV2({ type: "json", data: document }, options, (error, made) =>
      error || !made.result ? refused(error ?? new Error(made.reason)) : done(made.output[0].data),
    ),
  );
}

/** Nothing in it is by chance, so that making it again changes nothing. */
function request({ name, request }) {
  const { method, url, body, description } = request;
  const query = (url.query ?? []).map(({ key, value, disabled }) => ({
    key, value: String(value ?? ""), ...(disabled && { disabled }),
  }));
  const path = `/${url.path.join("/")}`;
  const sent = body?.mode === "raw" ? JSON.parse(body.raw) : undefined;
  const header = (request.header ?? [])
    .filter(({ key }) => !["If-Match", "If-None-Match", "Accept"].includes(key))
    .filter(({ key }) => key !== "Content-Type" || body?.mode !== "formdata") // its boundary is the sender's to add
    .filter(({ key }) => key !== "Idempotency-Key" || !hasKey(path, sent))
    .map(({ key, value }) => ({ key, value: key === "Idempotency-Key" ? "{{$guid}}" : value }));
  return {
    name: `${method} ${name}`,
    request: {
      method,
      description: description?.content ?? "",
      header,
      url: {
        raw: `{{baseUrl}}${path}`,
        host: ["{{baseUrl}}"],
        path: url.path,
        ...(query.length && { query }),
        ...(url.variable?.length && { variable: url.variable.map(({ key }) => ({ key, value: `{{${key}}}` })) }),
      },
      ...(sent && {
        body: { mode: "raw", raw: raw(sent), options: { raw: { language: "json" } } },
      }),
      ...(body?.mode === "formdata" && {
        body: { mode: "formdata", formdata: body.formdata.map(({ key, type }) => ({ key, type, ...(type === "file" ? { src: "" } : { value: "" }) })) },
      }),
    },
    response: [],
  };
}

function requests(items) {
  return items.flatMap((one) => (one.item ? requests(one.item) : [request(one)]));
}

function named(text) {
  const names = [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name);
  return Object.fromEntries([...new Set(names)].sort().map((name) => [name, KNOWN[name] ?? ""]));
}

// -- the workflow -------------------------------------------------------------------------------------------------------

function step({ name, before, method, url, key, body, status, keep = [], until, checks = {} }) {
  const tests = [];
  if (until) {
    tests.push(
      until,
      "const tries = Number(pm.collectionVariables.get('tries') || 0) + 1;",
      "pm.collectionVariables.set('tries', String(done || tries > 60 ? 0 : tries));",
      "if (!done && tries <= 60) {",
      "  pm.execution.setNextRequest(pm.info.requestName);",
      `  ${WAIT}`,
      "} else {",
    );
  }
  const codes = [status].flat();
  tests.push(
    `pm.test('is answered ${codes.join(" or ")}', function () {\n  pm.expect([${codes.join(", ")}]).to.include(pm.response.code);\n});`,
  );
  for (const [what, code] of Object.entries(checks)) {
    tests.push(`pm.test('${what}', function () {\n  ${code.split("\n").join("\n  ")}\n});`);
  }
  for (const field of keep) tests.push(`pm.collectionVariables.set('${field}', pm.response.json().data.${field});`);
  if (until) tests.push("}");
  const [host, ...path] = url.split("?")[0].split("/");
  const query = (url.split("?")[1] ?? "").split("&").filter(Boolean).map((pair) => pair.split("="));
  return {
    name,
    event: [...(before ? [script("prerequest", before)] : []), script("test", tests.join("\n"))],
    request: {
      method,
      header: method === "POST" ? [
        { key: "Idempotency-Key", value: key ?? "{{$guid}}" }, { key: "Content-Type", value: "application/json" },
      ].slice(hasKey(url, body) ? 1 : 0) : [],
      url: { raw: url, host: [host], path, ...(query.length && { query: query.map(([key, value]) => ({ key, value })) }) },
      ...(body && { body: { mode: "raw", raw: raw(body), options: { raw: { language: "json" } } } }),
    },
    response: [],
  };
}

// -- files --------------------------------------------------------------------------------------------------------------

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${text.trimEnd()}\n`);
}

/** Bruno's variables of a run go before those of the environment, where the collections' variables are; it waits otherwise. */
function forBruno(text) {
  return text
    .replace(/bru\.(get|set)CollectionVar\(/g, "bru.$1Var(")
    .replaceAll("bru.getVar('token')", "bru.getEnvVar('token')")
    .replaceAll(WAIT, "await new Promise((go) => setTimeout(go, 500));");
}

async function writeBruno(made) {
  rmSync(BRUNO, { recursive: true, force: true });
  write(join(BRUNO, "bruno.json"), JSON.stringify({ version: "1", name: "ECI", type: "collection" }, null, 2));
  const values = {};
  for (const one of made) {
    const { collection: folder } = await postmanToBruno(structuredClone(one));
    for (const { key, value } of one.variable) values[key] ||= value;
    folder.items.forEach((item, index) => {
      const file = item.name.replace(/[^\w ]+/g, " ").trim().replace(/ +/g, "-");
      const seq = one.info.name === WORKFLOW[0] ? index + 1 : 1; // the others are sorted by name
      const text = bruno.stringifyRequest({ ...item, seq }, { format: "bru" });
      write(join(BRUNO, one.info.name, `${file}.bru`), forBruno(text));
    });
    const root = { meta: { name: one.info.name }, request: { ...folder.root.request, vars: {} } };
    write(join(BRUNO, one.info.name, "folder.bru"), forBruno(bruno.stringifyFolder(root, { format: "bru" })));
  }
  const local = Object.entries(values).map(([name, value]) => ({ name, value, enabled: true, type: "text" }));
  write(join(BRUNO, "environments/local.bru"), bruno.stringifyEnvironment({ variables: local }, { format: "bru" }));
}

const document = JSON.parse(readFileSync(0));
const made = [];
for (const one of COLLECTIONS) {
  const items = requests((await converted(part(document, one[2]))).item);
  const values = { ...VARIABLES, ...named(JSON.stringify(items)) };
  made.push(collection(one, HELP, items, { ...values, ...VARIABLES }, [script("test", KEEP)]));
  write(join(ROOT, one[1]), JSON.stringify(made.at(-1), null, 2));
}
const help =
  "The whole workflow, with tests: run it from top to bottom, as often as you like. Give `token` where the shop is closed, and " +
  "`catalogUrl` to `notificationUrl` where each service has its own address.";
made.push(collection(WORKFLOW, help, steps.map(step), variables));
write(join(ROOT, WORKFLOW[1]), JSON.stringify(made.at(-1), null, 2));
await writeBruno(made);
