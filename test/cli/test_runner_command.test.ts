import assert from "node:assert/strict";
import test from "node:test";
import { createBench, type Bench } from "../../src/cli/test_runner/bench.ts";
import { components } from "../../src/components.ts";
import type { AnyDefinition } from "../../src/sdk/component.ts";
import { observation } from "../../src/sdk/observation.ts";
import { workspace } from "../config/support.ts";
import { alerts, order, pending, ran, stuck } from "./test_runner_support.ts";

const QUIET = "{ alert: Quiet, expr: 'now - self.last_seen > duration(\"600h\")', labels: { severity: page } }";

/** After a suggestion the rest of what is allowed may follow. */
const withoutAllowed = (line: string): string => line.replace(/(did you mean [^?]*\?) \(allowed: .*\)$/, "$1");

test("a test of the wrong shape is an invalid configuration: every problem is told, nothing runs", async () => {
  const { code, out, err } = await ran(order([pending("o1"), "expect: { alert: [] }", "advance: soon", alerts("{ status: pending }", "{}"), "wait: 1s"]));
  assert.equal(code, 78);
  assert.deepEqual(out, []);
  assert.deepEqual(err.map(withoutAllowed), [
    "agent.yaml:16:19 tests[0].steps[1].expect.alert: is not known here; did you mean alerts?",
    'agent.yaml:17:18 tests[0].steps[2].advance: "soon" is not a duration; allowed: a number with a unit, such as 500ms, 30s, 30m, 1h30m or 7d',
    "agent.yaml:18:38 tests[0].steps[3].expect.alerts[0].status: pending is not known here; allowed: firing, resolved",
    "agent.yaml:18:49 tests[0].steps[3].expect.alerts[1]: must not be empty; allowed: alert, rule, status, resource, group, type, severity, reason, value, labels, annotations, summary",
    "agent.yaml:19:9 tests[0].steps[4].wait: is not known here; allowed: send, mock, fail, heal, advance, at, restart, reload, silence, acknowledge, expect",
    "5 problems: no test was run",
  ]);
});

test("what only the graph as a whole shows, and a template that is none, are invalid configuration too", async () => {
  const bad = await ran(order([`send: { to: order, body: { id: o1, deep: ["{{ now - }}", { at: "{{ body.x }}" }, "{{"] } }`, alerts()], ["{ alert: Typo, expr: self.ammount > 1 }"]));
  assert.equal(bad.code, 78);
  assert.equal(bad.err.length, 5, bad.err.join("\n"));
  assert.match(bad.err[0]!, /^agent\.yaml:11:\d+ monitors\.order\.rules\[0\]\.?.*: self\.ammount is not tracked for type order; did you mean amount\?/);
  assert.match(bad.err[1]!, /^agent\.yaml:16:\d+ tests\[0\]\.steps\[0\]\.send\.body\.deep\[0\]: /);
  assert.match(bad.err[2]!, /deep\[1\]\.at: .*body is not known here/);
  assert.match(bad.err[3]!, /deep\[2\]: \{\{ without \}\}/);
});

test("a receiver that nobody has is told with what was probably meant; one of several must be named in full", async () => {
  const unknown = await ran(order(["send: { to: webhok/order, body: {} }", alerts()]));
  assert.deepEqual([unknown.code, withoutAllowed(unknown.err[0]!)], [78, "agent.yaml:15:21 tests[0].steps[0].send.to: references receiver webhok/order which is not defined; did you mean webhook/order?"]);
  const two = `
receivers: { webhook/a: { listen: "127.0.0.1:0", path: /a }, webhook/b: { listen: "127.0.0.1:0", path: /b }, log_tail: { include: [/nowhere/*.log] } }
processors: { track/order: { type: order, id: body.id } }
service: { pipelines: { orders: { receivers: [webhook/a, webhook/b], processors: [track/order] }, logs: { receivers: [log_tail], processors: [track/order] } } }
tests:
  - { name: one, steps: [{ send: { to: TO, body: { id: o1 } } }, { expect: { resources: [{ id: o1 }] } }] }
`;
  for (const to of ["webhook/a", "log_tail", "logs"]) assert.equal((await ran(two.replace("TO", to))).code, 0, to);
  for (const to of ["webhook", "orders"]) {
    const { code, err } = await ran(two.replace("TO", to));
    assert.deepEqual([code, err[0]], [78, `agent.yaml:6:40 tests[0].steps[0].send.to: ${to} may be webhook/a or webhook/b; give the id`]);
  }
});

test("a test that expects nothing fails: it checks nothing", async () => {
  const { code, out } = await ran(order([pending("o1"), "advance: 1h"]));
  assert.deepEqual([code, out.slice(0, 2)], [1, ["not ok  orders (0 ms)", "        agent.yaml:13:5 tests[0]: checks nothing: it has no expect"]]);
});

test("--filter runs the tests whose name contains it; having nothing to run is a failure", async () => {
  const test_ = (name: string): string => `  - { name: ${name}, steps: [{ expect: { alerts: [] } }] }\n`;
  const yaml = order([alerts()]) + test_("payments are paid") + test_("payments are late");
  const { code, out } = await ran(yaml, { filter: "payments" });
  assert.deepEqual([code, out], [0, ["ok      payments are paid (0 ms)", "ok      payments are late (0 ms)", "2 tests: all ok"]]);
  const none = await ran(yaml, { filter: "refunds" });
  assert.deepEqual([none.code, none.out, none.err], [1, [], ['no test has "refunds" in its name; there are 3']]);
  const empty = await ran(yaml.slice(0, yaml.indexOf("tests:")));
  assert.deepEqual([empty.code, empty.err], [1, ["there are no tests: the configuration has none under `tests:`"]]);
});

test("tests do not see each other, whatever became of the one before", async () => {
  const steps = `steps: [{ send: { to: order, id: d1, body: { id: o1, status: pending } } }, { advance: 30m }, { expect: { alerts: [${stuck("o1")}] } }]`;
  const { out } = await ran(`${order([pending("o1"), "advance: 1h", alerts()])}  - { name: second, ${steps} }\n  - { name: third, ${steps} }\n`);
  assert.deepEqual(out.filter((line) => /^(not )?ok/.test(line)), ["not ok  orders (0 ms)", "ok      second (0 ms)", "ok      third (0 ms)"]);
});

test("files of a directory add up: a test may send to what another file defines", async () => {
  const yaml = order([alerts()]);
  const at = yaml.indexOf("tests:");
  const { code, out } = await ran({ "monitor.yaml": yaml.slice(0, at), "tests.yaml": `tests:\n  - { name: apart, steps: [{ ${pending("o1")} }, { advance: 30m }, { ${alerts(stuck("o1"))} }] }\n` });
  assert.deepEqual([code, out[0]], [0, "ok      apart (0 ms)"]);
});

test("nothing reaches the outside: receivers and exporters are created, never started, never told", async () => {
  const started: string[] = [];
  const definitions = components.map((definition): AnyDefinition => definition.kind === "processor" ? definition : {
    ...definition,
    create(config, context) {
      const real = definition.create(config, context) as { notify?: unknown };
      const touched = (what: string) => async () => void started.push(`${what} ${definition.type}`);
      return { ...real, start: touched("start"), ...(real.notify === undefined ? {} : { notify: touched("notify") }), export: touched("export") } as never;
    },
  });
  const notify = "notify: [{ prometheus: {} }, { slack: { webhook_url: https://hooks.slack.invalid/T/B/x } }, { console: { observations: true } }]";
  const yaml = order([pending("o1"), "advance: 30m", "restart: {}", alerts(stuck("o1"))]).replace("    rules:", `    ${notify}\n    rules:`);
  const { code, out, err } = await ran(yaml, { definitions });
  assert.deepEqual([code, out, err, started], [0, ["ok      orders (0 ms)", "1 test: all ok"], [], []]);
});

test("headers and attributes arrive as the receiver would give them; the body is an item of `each`", async () => {
  const { code, out } = await ran(`
receivers: { webhook: { listen: "127.0.0.1:0", path: /x, each: body.items, include_headers: [X-Kind] } }
processors:
  parse: { format: json }
  track: { type: order, id: body.id, state: 'attributes["http.request.header.x-kind"] + string(attributes.size)' }
service: { pipelines: { p: { receivers: [webhook], processors: [parse, track] } } }
tests:
  - name: attributes
    steps:
      - send: { to: webhook, body: '{"id": "o1"}', headers: { X-Kind: new }, attributes: { size: 3 }, time: 2025-12-31T00:00:00Z }
      - expect: { resources: [{ id: o1, state: new3 }] }
`);
  assert.equal(code, 0, out.join("\n"));
});

test("a header that the receiver keeps to itself cannot be sent: in earnest it would never come", async () => {
  const { code, out } = await ran(order(["send: { to: order, body: { id: o1, status: new }, headers: { X-Kind: new } }", alerts()]));
  assert.deepEqual([code, out[1]], [1, "        agent.yaml:15:9 tests[0].steps[0]: at 2026-01-01T00:00:00Z: headers: webhook/order does not pass X-Kind on; name it in its include_headers"]);
});

test("no terminal obeys what a test, an id or an error says", async () => {
  const { out } = await ran(order([`send: { to: order, body: { id: "o\\e[31m1", status: failed } }`, alerts()]).replace("name: orders", `name: "or\\e[2Jders"`));
  assert.ok(out.includes('          + { alert: OrderFailed, resource: "o\\u001b[31m1", status: firing }   # 2026-01-01T00:00:00Z'), out.join("\n"));
  assert.equal(out[0], "not ok  or\\u001b[2Jders (0 ms)");
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(out.join("\n"), /\u001b/);
});

async function cpuMs(run: () => Promise<unknown>): Promise<number> {
  const begin = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1_000;
}

test("a month takes no time; with a rule that is looked at every 15 s, less than that many turns of the event loop", async () => {
  // Measured in the same run, so that a busy machine slows both.
  const turnMs = await cpuMs(async () => {
    for (let i = 0; i < 20_000; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
  }) / 20_000;
  const days = (count: number, rules: readonly string[], ...more: readonly string[]) => cpuMs(async () => {
    const { code, out } = await ran(order([pending("o1"), `advance: ${count}d`, alerts(stuck("o1"), ...more)], rules));
    assert.equal(code, 0, out.join("\n"));
  });
  const turns = (count: number): number => (count * 86_400) / 15;
  const quick = await days(30, []);
  assert.ok(quick < turns(30) * turnMs, `${quick} ms without such a rule, a turn takes ${turnMs} ms`);
  const slow = await days(30, [QUIET], "{ alert: Quiet }");
  assert.ok(slow < turns(30) * turnMs, `${slow} ms with one, a turn takes ${turnMs} ms`);
});

async function started(options: Pick<Parameters<typeof createBench>[0], "wanted" | "firedMax">): Promise<Bench> {
  const bench = createBench({ definitions: components, startMs: 0, ...options });
  await bench.start();
  return bench;
}

test("what was not committed is gone after a restart, what was is there", async () => {
  await using place = await workspace({ "agent.yaml": order([alerts()]) });
  const { wanted } = await place.load({ definitions: components });
  const bench = await started({ wanted });
  const send = (id: string) => observation({ id, status: "pending" }, { source: "webhook/order", time: bench.now() });
  await bench.send("webhook/order", send("kept"));
  const lost = bench.agent.emit("webhook/order", [send("lost")]).then(() => "committed", () => "lost");
  assert.equal(bench.agent.services.resources.get("order", "lost")?.state, "pending");
  await bench.restart(0, wanted);
  assert.equal(bench.agent.services.resources.get("order", "lost"), undefined);
  assert.equal(bench.agent.services.resources.get("order", "kept")?.state, "pending");
  await bench.advanceTo(3_600_000);
  assert.deepEqual(bench.takeChanges().map(({ alert, at }) => [alert.resource.id, at]), [["kept", 1_800_000]]);
  assert.notEqual(await Promise.race([lost, Promise.resolve("waits")]), "committed");
  await bench.end();
});

test("a test that would never end is ended", async () => {
  await using place = await workspace({ "agent.yaml": order([alerts()], [QUIET]) });
  const { wanted } = await place.load({ definitions: components });
  const bench = await started({ wanted, firedMax: 1_000 });
  await bench.send("webhook/order", observation({ id: "o1", status: "new" }, { source: "webhook/order", time: 0 }));
  await assert.rejects(bench.advanceTo(1e12), { message: "more than 1,000 timers fired: let less time pass" });
  await bench.end();
});
