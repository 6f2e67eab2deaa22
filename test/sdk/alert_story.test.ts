import assert from "node:assert/strict";
import { test } from "node:test";
import { groupMessage, letterOf, messageOfLetter } from "../../src/alerts/dispatch/messages.ts";
import { backgroundOf, factsOf, headlineOf, linkOf, pathText, runbookOf, statusOf, titleOf } from "../../src/sdk/alert_story.ts";
import { alertOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";

test("of many, the headline counts things in words where the alert's name begins with their type", () => {
  const headline = (alert: string, type: string, id = "1"): string => {
    const one = alertOf({ alert, resource: { type, id } });
    return headlineOf(notificationOf(one, one, resolvedOf()));
  };
  assert.equal(headline("OrderStuckInPending", "order"), "2 orders stuck in pending");
  assert.equal(headline("FeatureFlagOff", "feature_flag"), "2 feature flags off");
  assert.equal(headline("DeliveryLate", "delivery"), "2 deliveries late");
  assert.equal(headline("BoxLost", "box"), "2 boxes lost");
  assert.equal(headline("DiskFull", "order"), "2 × DiskFull");
  assert.equal(headline("Order", "order"), "2 × Order");
  assert.equal(headline("OrderBacklog", "order", ""), "2 × OrderBacklog", "a group's alert is not about one order");
});

test("a title names what the alert is about, and what is about nothing once; what is not there is no null", () => {
  assert.equal(titleOf(alertOf({ alert: "Late\n", resource: { type: "order", id: "o1" } })), "Late\\n order/o1");
  assert.equal(titleOf(alertOf({ alert: "Watchdog", resource: { type: "", id: "" }, group: {} })), "Watchdog");
  const facts = factsOf(alertOf({ details: { last_came: null }, value: null }), FIRED_AT);
  assert.deepEqual(facts.find(({ name }) => name === "last_came")?.text, "none");
});

test("a group that is over says for how long the first of them fired", () => {
  const early = resolvedOf({ fired_at: FIRED_AT - 3_600_000 });
  assert.equal(statusOf(notificationOf(early, resolvedOf())), "2 RESOLVED after 2h");
  assert.equal(statusOf({ ...notificationOf(alertOf()), cause: "repeat" }), "STILL FIRING");
  assert.equal(statusOf({ ...notificationOf(resolvedOf()), status: "firing", cause: "changed" }), "FIRING, 1 RESOLVED", "another one fires");
});

test("after most of a large group is over, what still fires is counted right", () => {
  const message = groupMessage("k", { region: "eu" }, "changed", [alertOf()], Array.from({ length: 5_000 }, () => resolvedOf()));
  const notification = { ...message, id: "n", receipt: undefined };
  assert.equal(statusOf(notification), "1 FIRING, 5000 RESOLVED");
  assert.equal(headlineOf(notification), "Order o1 has been pending for 30m");
  const many = groupMessage("k", {}, "changed", Array.from({ length: 3_000 }, () => alertOf()), Array.from({ length: 3_000 }, () => resolvedOf()));
  assert.equal(statusOf({ ...many, id: "n", receipt: undefined }), "3000 FIRING, 3000 RESOLVED");
  const letter = messageOfLetter(letterOf(many))!;
  assert.ok(letter.alerts.length < 1_000);
  assert.equal(statusOf({ ...letter, id: "n", receipt: undefined }), "3000 FIRING, 3000 RESOLVED", "as a dead letter, too");
  const over = groupMessage("k", {}, "resolved", [], Array.from({ length: 3_000 }, () => resolvedOf()));
  assert.equal(statusOf({ ...over, id: "n", receipt: undefined }), "3000 RESOLVED after 1h");
});

test("a path shows where moves are missing, and its last ten moves", () => {
  const move = (from: string, to: string) => ({ from, to, at: 0, duration: 60_000 });
  assert.equal(pathText([]), "");
  assert.equal(pathText([move("new", "paid"), move("shipped", "lost")]), "new (1m) → paid → … → shipped (1m) → lost");
  const long = pathText(Array.from({ length: 12 }, (_, n) => move(`s${n}`, `s${n + 1}`)));
  assert.match(long, /^… → s2 \(1m\) → s3 .* → s12$/);
});

test("what is told is bounded, whatever the alert holds; only links for a browser are links", () => {
  const huge = "x".repeat(10_000);
  const details = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${n}${huge}`, huge]));
  const alert = alertOf({ details, limit: huge, value: huge, stale_since: 1, flapping: true, annotations: { runbook_url: `https://x.example/${huge}` } });
  const facts = [...factsOf(alert, FIRED_AT), ...backgroundOf(alert)];
  assert.ok(facts.length <= 37);
  for (const { name, text } of facts) assert.ok(name.length <= 60 && text.length <= 500);
  assert.equal(runbookOf(alert), undefined);
  for (const runbook_url of ["javascript:alert(1)", "file:///etc/passwd", "//x", "runbook"]) assert.equal(runbookOf(alertOf({ annotations: { runbook_url } })), undefined);
  assert.equal(linkOf(alertOf({ story: { transitions: [], others: 0, url: "https://x.example/a b" } })), "https://x.example/a%20b");
});
