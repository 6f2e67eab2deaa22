import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { alertmanager } from "../../exporters/alertmanager.ts";
import type { Alert } from "../../src/sdk/alert.ts";
import { realClock, type Clock } from "../../src/sdk/clock.ts";
import { PermanentError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { alertOf, failureOf, notificationOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { scriptedServer, type Failure, type ScriptedServer } from "../support/scripted_server.ts";

interface SetUp {
  readonly recorded: Recorded;
  send(): Promise<unknown>;
  readonly exporter: ReturnType<typeof alertmanager.create>;
}

function setUp(t: TestContext, urls: readonly string[], more: object = {}, clock: Clock = realClock): SetUp {
  const { context, recorded } = exporterContext({ clock });
  const exporter = alertmanager.create(configured(alertmanager.schema, { urls, ...more }), context);
  t.after(() => exporter.stop!());
  return { recorded, exporter, send: () => exporter.notify!(notificationOf(firing()), AbortSignal.timeout(8_000)) };
}

const firing = (): Alert => alertOf({ active_at: realClock.now() - 60_000, fired_at: realClock.now() - 30_000 });

async function scripted(t: TestContext): Promise<ScriptedServer> {
  const server = await scriptedServer(() => ({ status: 200, body: "" }));
  t.after(() => server.close());
  return server;
}

const answer = (status: number, body = ""): Failure => ({ kind: "answer", status, body });

test("a batch that one replica refuses and another cannot take is tried again", async (t) => {
  const [one, other] = [await scripted(t), await scripted(t)];
  const { send } = setUp(t, [one.origin, other.origin]);
  one.failNext(answer(400, '"bad"'));
  other.failNext(answer(500));
  const error = await failureOf(send(), "secret");
  assert.ok(!(error instanceof PermanentError));
  assert.match(error.message, /400 Bad Request: bad; .*500/);
});

test("a replica that hangs costs its timeout, not the notification", async (t) => {
  const [one, other] = [await scripted(t), await scripted(t)];
  const { send, recorded } = setUp(t, [one.origin, other.origin], { timeout: "50ms" });
  other.failNext({ kind: "silence" });
  await send();
  assert.equal(recorded.reports.length, 1);
  assert.match(recorded.reports[0]!, /timed out after 50 ms/);
});

test("one that hangs while another takes everything is waited for briefly for a minute, and that is no news; alone it has its time", async (t) => {
  const [one, other] = [await scripted(t), await scripted(t)];
  const clock = virtualClock(realClock.now());
  const { exporter, recorded } = setUp(t, [one.origin, other.origin], { timeout: "10s" }, clock);
  /** How long it took while `other` hangs; the first replica fails so. */
  async function asked(first?: Failure): Promise<number> {
    const before = one.requests + other.requests;
    if (first !== undefined) one.failNext(first);
    other.failNext({ kind: "silence" });
    let settled = false;
    const start = clock.now();
    void exporter.notify!(notificationOf(firing()), new AbortController().signal).catch(() => {}).finally(() => (settled = true));
    while (one.requests + other.requests < before + 2) await realClock.sleep(1);
    for (; !settled && clock.now() - start < 30_000; await realClock.sleep(5)) await clock.advance(500);
    return clock.now() - start;
  }
  const first = await asked();
  assert.ok(first >= 10_000, String(first));
  for (let i = 0; i < 3; i++) {
    const ms = await asked();
    assert.ok(ms >= 1_000 && ms < 5_000, String(ms));
  }
  assert.equal(recorded.reports.length, 1);
  await clock.advance(60_000);
  assert.ok(await asked({ kind: "silence" }) >= 10_000);
  assert.ok(await asked({ kind: "silence" }) >= 10_000, "nobody took it: all have their time");
});

test("after all replicas failed, one that still does is said again", async (t) => {
  const [one, other] = [await scripted(t), await scripted(t)];
  const { send, recorded } = setUp(t, [one.origin, other.origin]);
  other.failNext(...Array.from({ length: 4 }, () => answer(500)));
  await send();
  one.failNext(answer(500));
  await assert.rejects(send());
  await send();
  await send();
  assert.equal(recorded.reports.length, 3, "once before, and, since the pipeline may just have said that all is well, twice after");
  await send();
  assert.equal(recorded.healed, 1);
});
