import assert from "node:assert/strict";
import test from "node:test";
import { alerts, order, paid, pending, ran, stuck } from "./test_runner_support.ts";

type Files = Readonly<Record<string, string>>;

async function passes(steps: readonly string[], files: Files = {}): Promise<void> {
  const { code, out, err } = await ran({ "agent.yaml": order(steps), ...files });
  assert.deepEqual([code, out, err], [0, ["ok      orders (0 ms)", "1 test: all ok"], []]);
}

async function complaint(steps: readonly string[], files: Files = {}): Promise<string[]> {
  const { code, out, err } = await ran({ "agent.yaml": order(steps), ...files });
  assert.deepEqual([code, out[0], out.at(-1), err], [1, "not ok  orders (0 ms)", "1 test: 0 ok, 1 not ok", []]);
  return out.slice(1, -1).map((line) => line.slice(8));
}

/** The configuration of `order` after somebody edited it. */
const edited = (from: string, to: string): string => {
  const yaml = order([alerts()]);
  const text = yaml.slice(0, yaml.indexOf("tests:")).replaceAll(from, to);
  assert.notEqual(text, yaml.slice(0, yaml.indexOf("tests:")));
  return text;
};

test("a reload of the same again changes nothing: what is stuck stays stuck since when it was, and nobody is told twice", () =>
  passes([pending("o1"), "advance: 29m", "reload: {}", "advance: 1m", alerts(stuck("o1")), "reload: {}", "advance: 1h", alerts(), paid("o1"), alerts(stuck("o1", "resolved"))]));

test("a value can be set as with --set: a longer limit holds from then on, and is kept by later reloads and restarts", () =>
  passes([
    pending("o1"), "advance: 20m", "reload: { set: { monitors.order.states.pending.stuck_after: 2h } }", "advance: 1h", alerts(),
    "reload: { set: { 'monitors.order.states.failed.terminal': false } }", "restart: {}", "advance: 39m", alerts(), "advance: 1m", alerts(stuck("o1")),
  ]));

test("another file can take the place of the one with the test; a rule that is gone resolves, after a while", () =>
  passes([
    "send: { to: order, body: { id: o1, status: new, amount: 500 } }", "advance: 5m", alerts("{ alert: Large }"),
    "reload: { with: other/edited.yaml }", "advance: 4m", alerts(), "advance: 2m", alerts("{ alert: Large, status: resolved, reason: rule_removed }"),
    "reload: { with: agent.yaml }", "send: { to: order, body: { id: o2, status: new, amount: 500 } }", "advance: 5m",
    "expect: { alerts: [{ alert: Large, resource: o1, status: firing }, { alert: Large, resource: o2 }] }",
  ], { "other/edited.yaml": edited("self.amount > 100", "self.amount > 9000").replace("alert: Large", "alert: Huge") }));

test("a receiver that only the edited file has can be sent to after the reload", () =>
  passes(["reload: { with: other/edited.yaml }", "send: { to: webhook/new, body: { id: o1, status: failed } }", alerts("{ alert: OrderFailed }")], {
    "other/edited.yaml": edited("webhook: { listen: 127.0.0.1:0, path: /orders }", "webhook/new: { listen: 127.0.0.1:0, path: /new }"),
  }));

test("a receiver that nobody has after the reload either is told where it is sent to", async () => {
  assert.match((await complaint(["reload: {}", "send: { to: webhook/new, body: {} }", alerts()]))[0]!,
    /^agent\.yaml:16:9 tests\[0\]\.steps\[1\]: at 2026-01-01T00:00:00Z: to: there is no receiver webhook\/new in a pipeline; allowed: webhook\/order$/);
});

test("a file that is rejected freezes what it defined: nothing resolves, what is due fires", () =>
  passes([
    pending("o1"), "advance: 29m", "reload: { with: other/broken.yaml, rejected: true }", "advance: 1m", alerts(stuck("o1")),
    "advance: 1d", alerts(), "reload: { with: agent.yaml }", "advance: 1d", alerts(), paid("o1"), alerts(stuck("o1", "resolved")),
  ], { "other/broken.yaml": edited("stuck_after", "stuk_after") }));

test("at a restart with a rejected file its resources neither fire nor resolve", () =>
  passes([
    pending("o1"), "reload: { with: other/broken.yaml, rejected: true }", "restart: {}", "advance: 1d", alerts(),
    "reload: { with: agent.yaml }", "advance: 1m", alerts(stuck("o1")),
  ], { "other/broken.yaml": edited("stuck_after", "stuk_after") }));

test("a rejected reload that nobody expects fails the test with what is wrong, where it is written; so does one that is taken", async () => {
  const broken = { "other/broken.yaml": edited("stuck_after", "stuk_after") };
  const [said, why, ...more] = await complaint(["reload: { with: other/broken.yaml }", alerts()], broken);
  assert.deepEqual([said, more], ["agent.yaml:15:9 tests[0].steps[0]: at 2026-01-01T00:00:00Z: reload: was rejected; where that is expected, say `rejected: true`:", []]);
  assert.match(why!, /^ {2}other\/broken\.yaml:9:\d+ monitors\.order\.states\.pending\.stuk_after: is not known here; did you mean stuck_after\?/);
  assert.match((await complaint(["reload: { set: { monitors.order.state: 'body.' } }", alerts()]))[1]!, /^ {2}--set:1:1 monitors\.order\.state: /);
  assert.match((await complaint(["reload: { rejected: true }", alerts()]))[0]!, /reload: was taken; expected it to be rejected$/);
  assert.match((await complaint(["reload: { with: nowhere.yaml }", alerts()]))[1]!, /there is no such file/);
});

test("a file that is gone by mistake does not sound the all-clear at once; when it is back nobody was told anything", () =>
  passes([pending("o1"), "advance: 30m", alerts(stuck("o1")), "reload: { with: null }", "advance: 4m", alerts(), "reload: { with: agent.yaml }", "advance: 1d", alerts()],
    { "beside.yaml": edited("order:", "beside:").replace("/orders", "/beside") }));

test("what a mocked receiver answers, and what fails, stays so over a reload that makes it anew", () => {
  const yaml = (steps: readonly string[]): string => order(steps).replace("webhook: { listen: 127.0.0.1:0, path: /orders }", "http_poll: { url: 'http://shop.invalid/', interval: 10s, jitter: 0s }");
  return passes([], { "agent.yaml": yaml([
    "mock: { receiver: order, responses: [{ body: { id: o1, status: pending } }, { body: { id: o2, status: pending } }] }", "reload: { set: { monitors.order.from.http_poll.interval: 1m } }",
    "expect: { resources: [{ id: o1 }, { id: o2 }] }", "advance: 10m",
    "expect: { metrics: [{ name: sojourn_http_polls_total, value: 12 }] }",
  ]) });
});
