import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { createApi } from "../../src/api/api.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { finished, API, asked, detailOf, ORDERS, orders, send, served } from "./support.ts";

const HEALTH = "127.0.0.2:0";
const WITH_HEALTH = ORDERS.replace("service:\n", `service:\n  health: { listen: "${HEALTH}" }\n`);

/** All that the server says to these bytes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  socket.end(bytes);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test("the index lists what there is, and everything it lists answers", async () => {
  const { served: api } = await orders();
  await using _ = api;
  const { urls } = (await api.get("/")).body as { urls: string[] };
  for (const line of urls) {
    const [method, url] = line.split(" ") as [string, string];
    const path = url.replace(/\?.*/, "").replace("{type}", "order").replace("{id}", "o9").replace("{number}", "9").replace("{dedup_key}", "none");
    const answer = method === "GET" ? await api.get(path) : await api.post(path, {});
    if (path.startsWith("/api/v1/resources/")) assert.equal(detailOf(answer, 404), "no order with id o9");
    else if (url.includes("{")) assert.ok(answer.status === 404 || answer.status === 400, `${line}: ${answer.status} ${answer.text}`);
    else if (path === "/api/v1/silences" && method === "POST") assert.equal(answer.status, 400, line);
    else assert.equal(answer.status, 200, line);
  }
  assert.match(detailOf(await api.get("/api/v2"), 404), /nothing at \/api\/v2; \/ lists what there is/);
});

test("a wrong method is 405 and says which is allowed; HEAD is GET without a body", async () => {
  const { served: api } = await orders();
  await using _ = api;
  for (const path of ["/", "/api/v1/resources", "/api/v1/alerts", "/api/v1/config", "/api/v1/dead_letters", "/-/healthy", "/-/ready"]) {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await api.ask(method, path);
      assert.equal(answer.headers.allow, "GET, HEAD", `${method} ${path}`);
      detailOf(answer, 405);
    }
    const head = await api.ask("HEAD", path);
    assert.equal(head.status, 200);
    assert.equal(head.text, "");
    assert.ok(Number(head.headers["content-length"]) > 0);
    assert.equal(head.headers["content-type"], "application/json; charset=utf-8");
  }
  const reload = await api.get("/-/reload");
  assert.equal(reload.headers.allow, "POST");
  detailOf(reload, 405);
});

test("requests under a foreign name are refused: a page cannot make its own name resolve to this machine", async () => {
  const { served: api } = await orders();
  await using _ = api;
  for (const host of ["evil.test", "evil.test:9465", "127.0.0.1.evil.test", "localhost.evil.test", "10.0.0.1:9465", "[::2]", "[", "127.0.0.1@evil.test"]) {
    for (const path of ["/api/v1/config", "/-/healthy", "/nothing"]) {
      assert.match(detailOf(await api.ask("GET", path, { host }), 403), /Host header must name this machine/, host);
    }
  }
  assert.match(await raw(api.listeners.port(API)!, "GET /-/healthy HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 403 /, "no name at all");
  assert.match(await raw(api.listeners.port(API)!, "GET http://127.0.0.1/-/healthy HTTP/1.0\r\nHost: evil.test\r\n\r\n"), /^HTTP\/1\.1 403 /);
  for (const host of ["localhost", "LOCALHOST:1", "localhost.:9465", "127.0.0.1", "127.8.9.1:80", "[::1]:9465", "[0:0:0:0:0:0:0:1]"]) {
    assert.equal((await api.ask("GET", "/api/v1/config", { host })).status, 200, host);
  }
});

test("a page of another origin cannot cause a reload", async () => {
  const { served: api } = await orders();
  await using _ = api;
  const host = "localhost:9465";
  const foreign: Record<string, string>[] = [
    { origin: "http://evil.test" }, { origin: "null" }, { origin: "http://localhost:3000" }, { origin: "https://localhost:9465" },
    { "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-site" },
  ];
  for (const headers of foreign) {
    assert.match(detailOf(await api.ask("POST", "/-/reload", { host, ...headers }), 403), /another origin/, JSON.stringify(headers));
  }
  for (const headers of [{}, { origin: "http://localhost:9465" }, { "sec-fetch-site": "same-origin" }, { "sec-fetch-site": "none" }]) {
    assert.equal((await api.ask("POST", "/-/reload", { host, ...headers })).status, 200, JSON.stringify(headers));
  }
});

test("a reload answers 200 when all is taken, else 422 with everything that is wrong; the configuration says the same", async () => {
  const { served: api } = await orders();
  await using _ = api;
  const file = join(api.directory, "agent.yaml");
  const good = await readFile(file, "utf8");
  const taken = (await api.ask("POST", "/-/reload")).body as { result: string; hash: string; problems: string[] };
  assert.deepEqual(taken, { result: "success", hash: api.wanted.hash, problems: [] });

  await writeFile(file, good.replace("stuck_after: 30m", "stuck_after: soon").replace("id: body.id", "id: bdy.id"));
  const answer = await api.ask("POST", "/-/reload");
  const detail = detailOf(answer, 422);
  const { result, problems } = answer.body as { result: string; problems: string[] };
  assert.equal(result, "rejected");
  assert.equal(problems.length, 2);
  assert.ok(problems.every((text) => text.startsWith(`${file}:`) && /agent\.yaml:\d+:\d+ \S+: /.test(text)), problems.join("\n"));
  assert.ok(problems.every((text) => detail.includes(text)));

  const config = (await api.get("/api/v1/config")).body as { last_reload: Record<string, unknown>; rejected: unknown[] };
  assert.deepEqual(config.rejected, [{ file, last_good_runs: true, problems }]);
  assert.deepEqual(config.last_reload, {
    result: "failure", error: `${problems[0]} (and 1 more, see rejected)`, time: "2026-11-03T10:15:00Z", hash: api.wanted.hash,
  });
  assert.deepEqual(((await api.get("/-/ready")).body as { degraded: string[] }).degraded, [`${file} is rejected`]);

  await writeFile(file, good);
  assert.equal((await api.ask("POST", "/-/reload")).status, 200);
  const mended = (await api.get("/api/v1/config")).body as { last_reload: { result: string; error: null }; rejected: unknown[] };
  assert.deepEqual([mended.last_reload.result, mended.last_reload.error, mended.rejected], ["success", null, []]);
});

test("the configuration shows components, and pipelines with what their receivers say", async () => {
  const { served: api } = await orders();
  await using _ = api;
  const config = (await api.get("/api/v1/config")).body as {
    components: { kind: string; id: string; config: Record<string, unknown> }[]; pipelines: unknown[]; service: { api: unknown }; waiting: unknown[];
  };
  assert.deepEqual(config.components.map(({ kind, id }) => `${kind} ${id}`), ["processor track/order", "receiver webhook/orders"]);
  assert.equal(config.components[0]!.config["type"], "order");
  assert.deepEqual(config.service.api, { listen: API });
  assert.deepEqual(config.waiting, []);
  assert.deepEqual(config.pipelines, [{
    name: "orders", file: join(api.directory, "agent.yaml"), processors: ["track/order"], exporters: [],
    receivers: [{ id: "webhook/orders", failing: null, status: { listen: API, port: api.listeners.port(API), path: "/hooks/orders", in_flight: 0 } }],
  }]);
});

test("dead letters are listed, newest first, in pages", async () => {
  const { clock, served: api } = await orders();
  await using _ = api;
  await send(api.agent, clock, { status: "paid", n: 1 }, { status: "paid", n: 2 }, { status: "paid", n: 3 });
  interface Letters { items: { number: number; at: string; component: string; reason: string; content: { body: { n: number } } }[]; next: string | null }
  const first: Letters = (await api.get("/api/v1/dead_letters?limit=2")).body;
  assert.deepEqual(first.items.map(({ content }) => content.body.n), [3, 2]);
  const { at, component } = first.items[0]!;
  assert.deepEqual([at, component], ["2026-11-03T10:15:00Z", "track/order"]);
  const rest: Letters = (await api.get(`/api/v1/dead_letters?limit=2&cursor=${first.next}`)).body;
  assert.deepEqual(rest.items.map(({ content }) => content.body.n), [1]);
  assert.equal(rest.next, null);
});

test("probes: alive while it serves, ready while it takes observations and commits them", async () => {
  const clock = virtualClock();
  await using api = await served({ clock, files: { "agent.yaml": WITH_HEALTH }, start: false });
  const ready = (): Promise<Awaited<ReturnType<typeof api.ask>>> => api.ask("GET", "/-/ready", {}, HEALTH);
  assert.match(detailOf(await ready(), 503), /no configuration runs yet/);
  assert.deepEqual((await api.ask("GET", "/-/healthy", {}, HEALTH)).body, { status: "healthy" });
  await api.agent.start(api.wanted);
  assert.deepEqual((await ready()).body, { status: "ready" });
  assert.deepEqual((await api.get("/-/ready")).body, { status: "ready", degraded: [] });

  api.store.fail();
  const lost = send(api.agent, clock, { id: "o1", status: "paid" });
  await clock.advance(100);
  const full = await ready();
  assert.deepEqual((full.body as { reasons: string[] }).reasons, ["nothing can be committed to the store"]);
  assert.equal((await api.get("/-/healthy")).status, 200);
  api.store.heal();
  await clock.advance(10_000);
  await lost;
  assert.equal((await ready()).status, 200);

  await api.agent.stop();
  assert.match(detailOf(await ready(), 503), /the agent is stopping/);
  assert.equal((await api.ask("GET", "/-/healthy", {}, HEALTH)).status, 200);
});

test("not ready while nothing runs because files are rejected; ready once one of them is mended, and without any file", async () => {
  const files = { "agent.yaml": ORDERS.replace("id: body.id", "id: bdy.id"), "service.yaml": `service: { api: { listen: "${API}" } }` };
  await using api = await served({ clock: virtualClock(), files });
  assert.match(detailOf(await api.get("/-/ready"), 503), /no pipeline runs and configuration files are rejected/);
  assert.equal((await api.get("/-/healthy")).status, 200);
  const file = join(api.directory, "agent.yaml");
  await writeFile(file, ORDERS);
  await api.reload();
  assert.equal((await api.get("/-/ready")).status, 200);
  await writeFile(file, "receivers: []");
  await api.reload();
  assert.equal((await api.get("/-/ready")).status, 200, "the last good version runs");
  await rm(file);
  await api.reload();
  assert.equal((await api.get("/-/ready")).status, 200, "nothing is what was asked for");
});

test("the health address answers probes under any name, and nothing else", async () => {
  await using api = await served({ clock: virtualClock(), files: { "agent.yaml": WITH_HEALTH } });
  assert.notEqual(api.listeners.port(HEALTH), api.listeners.port(API));
  assert.equal((await api.ask("GET", "/-/ready", { host: "agent.pods.test:8080" }, HEALTH)).status, 200);
  assert.equal((await api.ask("HEAD", "/-/healthy", {}, HEALTH)).status, 200);
  detailOf(await api.ask("POST", "/-/ready", {}, HEALTH), 405);
  for (const [method, path] of [["GET", "/"], ["GET", "/api/v1/config"], ["GET", "/api/v1/resources"], ["POST", "/-/reload"], ["GET", "/hooks/orders"]] as const) {
    assert.equal((await api.ask(method, path, {}, HEALTH)).status, 404, path);
  }
});

test("an API that would let other machines in is refused, whatever checked the configuration", async () => {
  const { served: api } = await orders();
  await using _ = api;
  const { service } = api.wanted;
  for (const listen of ["0.0.0.0:0", ":0", "[::]:0", "example.test:0", "127.0.0.1.example.test:0", "10.0.0.1:0"]) {
    await assert.rejects(api.api.open({ ...service, api: { listen } }), /would let other machines in; allowed: 127\.0\.0\.1:port/, listen);
  }
  assert.equal((await api.get("/-/healthy")).status, 200, "what was open stays open");
});

test("an address that is taken leaves the API where it was", async () => {
  const { served: api } = await orders();
  await using _ = api;
  const other = createServer();
  await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
  const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  try {
    await assert.rejects(api.api.open({ ...api.wanted.service, health: { listen: taken }, api: { listen: "127.0.0.3:0" } }), /is taken by another process/);
    assert.equal((await api.get("/-/healthy")).status, 200);
    assert.equal(api.listeners.port("127.0.0.3:0"), undefined, "what was opened on the way is closed again");
  } finally {
    other.close();
  }
});

test("a reload that moves the API answers on the old address, and the new one serves at once", async () => {
  await using api = await served({ clock: realClock, files: { "agent.yaml": ORDERS.replace(`listen: "${API}", path`, 'listen: "127.0.0.4:0", path') } });
  const file = join(api.directory, "agent.yaml");
  const text = await readFile(file, "utf8");
  const port = api.listeners.port(API)!;
  await writeFile(file, text.replace(`api: { listen: "${API}" }`, 'api: { listen: "127.0.0.5:0" }'));
  const from = realClock.monotonicMs();
  assert.equal((await api.ask("POST", "/-/reload")).status, 200);
  assert.ok(realClock.monotonicMs() - from < 3_000, "the reload does not wait for the request that asked for it");
  assert.equal((await api.ask("GET", "/-/healthy", {}, "127.0.0.5:0")).status, 200);
  for (let turn = 0; api.listeners.port(API) !== undefined; turn++) {
    assert.ok(turn < 1_000, "the old address closes");
    await realClock.sleep(2);
  }
  await assert.rejects(asked(port, "127.0.0.1", "GET", "/-/healthy", {}), /ECONNREFUSED/);
  await writeFile(file, text);
  assert.equal((await api.ask("POST", "/-/reload", {}, "127.0.0.5:0")).status, 200);
  assert.equal((await api.get("/-/healthy")).status, 200, "and back again");
});

test("closing twice, and before opening, is harmless; what is closed answers no more", async () => {
  const { served: api, clock } = await orders();
  await using _ = api;
  const port = api.listeners.port(API)!;
  await finished(api.agent.stop(), clock);
  await Promise.all([api.api.close(), api.api.close()]);
  await assert.rejects(asked(port, "127.0.0.1", "GET", "/-/healthy", {}), /ECONNREFUSED/);
  const unopened = createApi({ agent: api.agent, listeners: api.listeners, clock: virtualClock(), reload: api.reload });
  await unopened.close();
});
