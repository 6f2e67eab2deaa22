import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTime } from "../../src/sdk/time.ts";
import { finished, orders, type Answer } from "./support.ts";

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly matchers: readonly string[];
  readonly starts_at: string;
  readonly ends_at: string;
  readonly origin: string;
}

const HOUR_MS = 3_600_000;

const items = (answer: Answer): readonly Shown[] => (answer.body as { items: Shown[] }).items;

/** The answer comes with the commit, and that with the clock. */
function posted({ served, clock }: Awaited<ReturnType<typeof orders>>, path: string, body: unknown): Promise<Answer> {
  return finished(served.post(path, body), clock);
}

test("a silence is added, listed while it lasts, and ended before its time", async () => {
  const parts = await orders();
  await using served = parts.served;
  const ends_at = formatTime(parts.clock.now() + 2 * HOUR_MS);
  const added = await posted(parts, "/api/v1/silences", { matchers: ["alertname=OrderFailed", "severity=~crit.*"], ends_at, created_by: "jo", comment: "migration" });
  assert.equal(added.status, 200, added.text);
  const { id } = added.body as Shown;
  const [listed] = items(await served.get("/api/v1/silences"));
  assert.deepEqual([listed!.id, listed!.state, listed!.matchers, listed!.ends_at, listed!.origin], [id, "active", ["alertname=OrderFailed", "severity=~crit.*"], ends_at, "api"]);
  assert.equal((await posted(parts, `/api/v1/silences/${id}/expire`, {})).status, 200);
  assert.equal(items(await served.get("/api/v1/silences"))[0]!.state, "expired");
});

test("a silence that would hush everything, or says nothing of its end, author or reason, is refused with why", async () => {
  const parts = await orders();
  await using _ = parts.served;
  const good = { matchers: ["alertname=OrderFailed"], ends_at: "2027-01-01T00:00:00Z", created_by: "jo", comment: "why" };
  const wrong: [unknown, RegExp][] = [
    [{ ...good, matchers: [] }, /matchers/],
    [{ ...good, matchers: ["alertname=~.*"] }, /holds? for an alert without any labels/],
    [{ ...good, matchers: ["alertname=~("] }, /matchers\[0\]/],
    [{ ...good, matchers: "alertname=x" }, /matchers must be a list of texts/],
    [{ ...good, ends_at: "tomorrow" }, /ends_at is tomorrow; allowed: RFC 3339/],
    [{ ...good, ends_at: "2020-01-01T00:00:00Z" }, /ends_at must be in the future/],
    [{ ...good, comment: " " }, /comment must be a text that is not empty/],
    [{ ...good, owner: "jo" }, /there is no owner; allowed: matchers/],
    [[], /must be a JSON object/],
  ];
  for (const [body, message] of wrong) {
    const answer = await posted(parts, "/api/v1/silences", body);
    assert.equal(answer.status, 400, answer.text);
    assert.match((answer.body as { detail: string }).detail, message);
  }
});

test("a form of a web page cannot silence anything: the body must say that it is JSON", async () => {
  const parts = await orders();
  await using served = parts.served;
  const answer = await served.ask("POST", "/api/v1/silences", { "content-type": "text/plain" });
  assert.equal(answer.status, 415);
});

test("ending a silence that is not there, or is over, is an error and not a success", async () => {
  const parts = await orders();
  await using _ = parts.served;
  assert.equal((await posted(parts, "/api/v1/silences/none/expire", {})).status, 404);
  const { id } = (await posted(parts, "/api/v1/silences", { matchers: ["a=b"], ends_at: "2027-01-01T00:00:00Z", created_by: "jo", comment: "c" })).body as Shown;
  await posted(parts, `/api/v1/silences/${id}/expire`, {});
  assert.equal((await posted(parts, `/api/v1/silences/${id}/expire`, {})).status, 409);
});
