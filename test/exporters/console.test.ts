import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { Writable } from "node:stream";
import { test } from "node:test";
import { consoleTo } from "../../exporters/console.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import { PermanentError } from "../../src/sdk/errors.ts";
import { observation } from "../../src/sdk/observation.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import type { Notification } from "../../src/sdk/alert.ts";
import { alertOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext } from "../support/context.ts";

const EVIL = "o1\u001b[2J\r\nRESOLVED\u009b31m\u202e\u2028";
// What a terminal obeys, save the line feed that ends a line.
const OBEYED = /[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e]/u;

class Sink extends Writable {
  text = "";
  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.text += chunk.toString("utf8");
    done();
  }
}

function create(output: Writable, format: "pretty" | "json" = "pretty", observations = false, clock: Clock = realClock): Exporter {
  const exporter = consoleTo(() => output);
  return exporter.create(configured(exporter.schema, { format, observations }), exporterContext({ clock }).context);
}

const signal = new AbortController().signal;

test("an alert is one line with FIRING or RESOLVED, its name, resource and summary", async () => {
  const sink = new Sink();
  await create(sink).notify!(notificationOf(alertOf(), resolvedOf({ annotations: {} })), signal);
  assert.deepEqual(sink.text.split("\n"), [
    "2026-01-01T03:02:00.000Z FIRING   OrderStuckInPending order/o1: Order o1 has been pending for 30m"
      + " (severity critical, state pending, since 2026-01-01T02:32:00.000Z, limit 30m)",
    "2026-01-01T04:02:00.000Z RESOLVED OrderStuckInPending order/o1: order/o1: pending"
      + " (severity critical, state pending, since 2026-01-01T02:32:00.000Z, limit 30m, recovered after 1h)",
    "",
  ]);
});

test("for machines an alert is one JSON object with the API's names", async () => {
  const sink = new Sink();
  await create(sink, "json").notify!(notificationOf(resolvedOf()), signal);
  const { annotations, labels, ...rest } = JSON.parse(sink.text) as Record<string, unknown>;
  assert.deepEqual({ annotations, labels }, { annotations: alertOf().annotations, labels: alertOf().labels });
  assert.deepEqual(rest, {
    status: "resolved", cause: "resolved", group: null, limit: "30m", stale_since: null, flapping: false, acknowledged: null, observation: null,
    trace_id: "0123456789abcdef0123456789abcdef", alert: "OrderStuckInPending", rule: "OrderStuckInPending", resource: { type: "order", id: "o1" },
    summary: "Order o1 has been pending for 30m", value: "pending", details: alertOf().details, dedup_key: alertOf().dedup_key,
    active_at: "2026-01-01T02:32:00.000Z", fired_at: "2026-01-01T03:02:00.000Z", resolved_at: "2026-01-01T04:02:00.000Z", reason: "recovered",
  });
});

const STORY = {
  transitions: [{ from: "new", to: "pending", at: FIRED_AT, duration: 60_000 }], others: 2, url: "https://sojourn.example/alerts/1",
};

test("a line tells the path, the others, what is odd about the alert, and where to read on", async () => {
  const sink = new Sink();
  const alert = alertOf({
    details: {}, limit: "value > 5", story: STORY, annotations: { ...alertOf().annotations, runbook_url: "https://runbooks.example/stuck" }, stale_since: FIRED_AT, flapping: true, acknowledged: { by: "ann", comment: "", at: FIRED_AT },
  });
  await create(sink, "pretty", false, virtualClock(FIRED_AT + 4 * 3_600_000)).notify!({ ...notificationOf(alert), cause: "repeat" }, signal);
  assert.equal(sink.text, "2026-01-01T07:02:00.000Z FIRING   OrderStuckInPending order/o1: Order o1 has been pending for 30m (severity critical,"
    + " limit value > 5, path new (1m) → pending, 2 others firing, last known 2026-01-01T03:02:00.000Z, flapping,"
    + " runbook https://runbooks.example/stuck, see https://sojourn.example/alerts/1, acknowledged by ann, still firing since 2026-01-01T03:02:00.000Z)\n");
  const one = new Sink();
  await create(one).notify!(notificationOf(alertOf({ story: { ...STORY, others: 1 } })), signal);
  assert.match(one.text, /, 1 other firing,/);
});

test("an alert about a group says which, and one about nothing says its name once; a test is marked", async () => {
  const sink = new Sink();
  const parts = { details: {}, limit: undefined, annotations: {}, value: 1_204 };
  const group = alertOf({ ...parts, resource: { type: "order", id: "" }, group: { region: "eu" } });
  const nothing = alertOf({ ...parts, resource: { type: "", id: "" }, group: {} });
  await create(sink).notify!({ ...notificationOf(group, nothing), cause: "test" }, signal);
  assert.deepEqual(sink.text.split("\n"), [
    "2026-01-01T03:02:00.000Z TEST FIRING   OrderStuckInPending order region=eu: order region=eu: 1204 (severity critical)",
    "2026-01-01T03:02:00.000Z TEST FIRING   OrderStuckInPending: OrderStuckInPending: 1204 (severity critical)",
    "",
  ]);
});

test("alerts that the notification itself only counts are counted", () => {
  for (const [format, last] of [["pretty", "+36 more"], ["json", '{"more":36}']] as const) {
    const lines = create(new Sink(), format).render!({ ...notificationOf(alertOf()), more: 36 }) as string[];
    assert.deepEqual([lines.length, lines[1]], [2, last]);
  }
});

test("for machines the story is there, too, and render gives the lines that are printed", async () => {
  const sink = new Sink();
  const exporter = create(sink, "json");
  const observation = { source: "http_poll", time: FIRED_AT, id: undefined, attributes: {}, body: { id: "o1" } };
  const notification: Notification = notificationOf(alertOf({ story: STORY, observation }), alertOf());
  await exporter.notify!(notification, signal);
  assert.deepEqual(exporter.render!(notification), sink.text.split("\n").slice(0, -1));
  const said = JSON.parse(sink.text.split("\n")[0]!) as Record<string, unknown>;
  assert.deepEqual(said["story"], { ...STORY, transitions: [{ from: "new", to: "pending", at: "2026-01-01T03:02:00.000Z", duration_seconds: 60 }] });
  assert.deepEqual(said["observation"], { ...observation, id: null, time: "2026-01-01T03:02:00.000Z" });
});

for (const format of ["pretty", "json"] as const) {
  test(`nothing that comes from outside reaches the terminal as a command or a second line (${format})`, async () => {
    const sink = new Sink();
    const exporter = create(sink, format, true);
    const evil = alertOf({ resource: { type: "order", id: EVIL }, annotations: { summary: EVIL }, details: { [EVIL]: EVIL }, labels: { severity: EVIL } });
    await exporter.notify!(notificationOf(evil), signal);
    await exporter.export!([observation({ [EVIL]: EVIL }, { time: FIRED_AT, source: "webhook", attributes: { a: EVIL } })], signal);
    await exporter.export!([observation(EVIL, { time: FIRED_AT, source: "webhook" })], signal);
    assert.equal(sink.text.match(/\n/g)!.length, 3);
    assert.doesNotMatch(sink.text, OBEYED);
    if (format === "json") {
      const [alert, first] = sink.text.split("\n").slice(0, 2).map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.deepEqual([alert!["resource"], first!["body"]], [{ type: "order", id: EVIL }, { [EVIL]: EVIL }], "escapes change nothing");
    }
  });
}

test("observations are printed only when asked for", async () => {
  assert.ok(!("export" in create(new Sink())));
  const sink = new Sink();
  await create(sink, "pretty", true).export!([observation({ id: "o1", status: "paid" }, { time: FIRED_AT, source: "http_poll" })], signal);
  assert.equal(sink.text, '2026-01-01T03:02:00.000Z OBSERVED http_poll: {"id":"o1","status":"paid"}\n');
});

test("a line counts as delivered once the stream has taken it", async () => {
  let release: (() => void) | undefined;
  const slow = new Writable({ write: (_, __, done) => void (release = done) });
  let delivered = false;
  const sending = create(slow).notify!(notificationOf(alertOf()), signal).then(() => (delivered = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(delivered, false);
  release!();
  await sending;
});

test("a reader that takes nothing holds up one delivery until its deadline, not the agent", async () => {
  const stuck = new Writable({ write: () => {} });
  await assert.rejects(create(stuck).notify!(notificationOf(alertOf()), AbortSignal.timeout(20)), { name: "TimeoutError" });
});

for (const [code, permanent] of [["EPIPE", true], ["ENOSPC", false], ["EIO", false]] as const) {
  test(`${code} fails the delivery (${permanent ? "for good" : "worth another attempt"}) and nothing else`, async () => {
    const broken = new Writable({
      autoDestroy: false,
      write: (_, __, done) => done(Object.assign(new Error(`${code}: write`), { code })),
    });
    const exporter = create(broken);
    for (let n = 0; n < 2; n++) {
      await assert.rejects(exporter.notify!(notificationOf(alertOf()), signal), (error) => error instanceof PermanentError === permanent);
    }
  });
}

/** Runs two deliveries in a process of its own and tells, on its standard error, how they ended. */
async function inProcess(stdout: "pipe" | number): Promise<{ code: number | null; said: string }> {
  const script = `
    import { console as exporter } from "${import.meta.resolve("../../exporters/console.ts")}";
    import { alertOf, notificationOf } from "${import.meta.resolve("../support/alert.ts")}";
    import { realClock } from "${import.meta.resolve("../../src/sdk/clock.ts")}";
    const { notify } = exporter.create({ format: "pretty", observations: false }, { clock: realClock });
    await new Promise((resolve) => process.stdin.once("end", resolve).resume());
    for (let n = 0; n < 2; n++) {
      await notify(notificationOf(alertOf()), new AbortController().signal)
        .then(() => "delivered", (error) => error.name + " " + error.cause.code)
        .then((told) => process.stderr.write(told + ";"));
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", stdout, "pipe"] });
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (said += text));
  child.stdout?.destroy();
  child.stdin!.end();
  const [code] = (await once(child, "close")) as [number | null];
  return { code, said };
}

test("an agent whose reader has gone lives on, and knows that nobody reads", async () => {
  assert.deepEqual(await inProcess("pipe"), { code: 0, said: "PermanentError EPIPE;PermanentError EPIPE;" });
});

test("an agent whose output file has no room lives on, and tries again", { skip: process.platform === "linux" ? false : "there is no /dev/full here" }, async (t) => {
  const full = openSync("/dev/full", "w");
  t.after(() => closeSync(full));
  assert.deepEqual(await inProcess(full), { code: 0, said: "Error ENOSPC;Error ENOSPC;" });
});
