import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { after, before, test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { email } from "../../exporters/email.ts";
import type { Notification } from "../../src/sdk/alert.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Exporter } from "../../src/sdk/component.ts";
import { ConfigError, messageOf, PermanentError } from "../../src/sdk/errors.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { alertOf, failureOf, FIRED_AT, notificationOf, resolvedOf } from "../support/alert.ts";
import { configured } from "../support/configured.ts";
import { exporterContext, type Recorded } from "../support/context.ts";
import { selfSigned } from "../support/http_server.ts";
import { fakeSmtp, headerOf, SMTP_PASSWORD, SMTP_USER, type FakeSmtp, type SmtpSetup } from "../support/smtp_server.ts";
import { until } from "../support/waiting.ts";

let certificate: ReturnType<typeof selfSigned>;
before(() => void (certificate = selfSigned()));
after(() => certificate.remove());

interface SetUp {
  readonly smtp: FakeSmtp;
  readonly exporter: Exporter;
  readonly recorded: Recorded;
  notify(notification: Notification): Promise<unknown>;
}

function create(port: number, config: object = {}): { exporter: Exporter; recorded: Recorded } {
  const { context, recorded } = exporterContext({ clock: virtualClock(FIRED_AT + 60_000), externalLabels: { cluster: "eu-1" } });
  const whole = { host: "127.0.0.1", port, encryption: "none", from: "Sojourn <sojourn@example.org>", to: ["ops@example.org"], ...config };
  return { exporter: email.create(configured(email.schema, whole), context), recorded };
}

async function setUp(t: TestContext, config: object = {}, server: SmtpSetup = { plain: true }): Promise<SetUp> {
  const smtp = await fakeSmtp(server);
  const { exporter, recorded } = create(smtp.port, config);
  t.after(async () => {
    await exporter.stop!();
    await smtp[Symbol.asyncDispose]();
  });
  return { smtp, exporter, recorded, notify: async (notification) => await exporter.notify!(notification, AbortSignal.timeout(5_000)) };
}

const withTls = (parts: object = {}): object => ({ encryption: "starttls", host: "localhost", tls: { ca_file: `${certificate.directory}/cert.pem` }, ...parts });
const login = { username: SMTP_USER, password: SMTP_PASSWORD };
const failure = (send: Promise<unknown>): Promise<Error> => failureOf(send, SMTP_PASSWORD);

interface Rendered {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const rendered = (exporter: Exporter, notification: Notification): Rendered => exporter.render!(notification) as unknown as Rendered;

test("an alert is one mail to all recipients, as text and HTML, saying what is wrong, how badly and since when", async (t) => {
  const { smtp, exporter, notify } = await setUp(t, { to: ["ops@example.org", "Ann <ann@example.org>"], subject_prefix: "[prod]" });
  const notification = notificationOf(alertOf());
  assert.equal(await notify(notification), undefined);
  assert.equal(smtp.mails.length, 1);
  const mail = smtp.mails[0]!;
  assert.deepEqual([mail.from, mail.to], ["sojourn@example.org", ["ops@example.org", "ann@example.org"]]);
  assert.equal(headerOf(mail, "From"), "Sojourn <sojourn@example.org>");
  assert.equal(headerOf(mail, "To"), "ops@example.org, Ann <ann@example.org>");
  assert.equal(headerOf(mail, "Subject"), "[prod] FIRING: OrderStuckInPending order/o1: Order o1 has been pending for 30m");
  assert.equal(headerOf(mail, "Date"), "Thu, 01 Jan 2026 03:03:00 +0000");
  assert.equal(headerOf(mail, "Auto-Submitted"), "auto-generated");
  assert.equal(headerOf(mail, "X-Priority"), "1");
  assert.match(headerOf(mail, "Content-Type")!, /^multipart\/alternative/);
  const { text, html } = rendered(exporter, notification);
  assert.equal(text, [
    "FIRING: OrderStuckInPending", "",
    "FIRING OrderStuckInPending order/o1", "Order o1 has been pending for 30m",
    "  severity: critical", "  true for: 31m", "  state: pending", "  since: 2026-01-01T02:32:00.000Z", "  limit: 30m",
    "  trace: 0123456789abcdef0123456789abcdef", "  labels: resource_type=order, state=pending, team=checkout", "",
    "-- ", "Sent by Sojourn (cluster=eu-1).", "",
  ].join("\n"));
  for (const words of ["Order o1 has been pending for 30m", "31m", "critical"]) assert.ok(html.includes(words) && mail.raw.includes(words), words);
});

test("the whole story is told: path, others, observation, acknowledged, links; stale and flapping", async (t) => {
  const { exporter } = await setUp(t);
  const { text, html } = rendered(exporter, notificationOf(alertOf({
    annotations: { summary: "s", description: "Payments wait.\nCall finance.", runbook_url: "https://runbooks.example/stuck?a=1&b=2" },
    story: { transitions: [{ from: "new", to: "pending", at: 1, duration: 60_000 }], others: 36, url: "https://sojourn.example/alerts/1" },
    observation: { source: "log_tail", time: FIRED_AT, id: "evt-1", attributes: { "log.file.path": "/var/log/orders" }, body: { id: "o1" } },
    stale_since: FIRED_AT, flapping: true, acknowledged: { by: "ann", comment: "on it", at: FIRED_AT },
  })));
  for (const line of [
    "Payments wait.", "Call finance.", "  stale: last known 2026-01-01T03:02:00.000Z: its sources are failing",
    "  flapping: it came and went too often, and stays until it has been quiet", "  path: new (1m) → pending", "  others firing: 36",
    "  acknowledged: by ann at 2026-01-01T03:02:00.000Z: on it", "  observed: log_tail at 2026-01-01T03:02:00.000Z, id=evt-1, log.file.path=/var/log/orders",
    "  Runbook: https://runbooks.example/stuck?a=1&b=2", "  Details: https://sojourn.example/alerts/1", '  observation: {"id":"o1"}',
  ]) assert.ok(text.split("\n").includes(line), `${line} is not in ${text}`);
  assert.ok(html.includes('<a href="https://runbooks.example/stuck?a=1&amp;b=2">Runbook</a>'));
  assert.ok(html.includes("{&quot;id&quot;:&quot;o1&quot;}"));
});

test("of many alerts some are spelled out and the others counted; a resolve, a repeat and a test say what they are", async (t) => {
  const { exporter } = await setUp(t);
  const many = { ...notificationOf(...Array.from({ length: 57 }, (_, n) => alertOf({ resource: { type: "order", id: `o${n}` } }))), group: { region: "eu" } };
  const { subject, text } = rendered(exporter, many);
  assert.equal(subject, "57 FIRING: OrderStuckInPending (region=eu)");
  assert.equal(text.match(/^FIRING OrderStuckInPending order\/o\d+$/gm)!.length, 20);
  assert.match(text, /^\+37 more$/m);
  const counted = rendered(exporter, { ...notificationOf(alertOf()), more: 4 });
  assert.deepEqual([counted.subject, /^\+4 more$/m.test(counted.text)], ["5 FIRING: OrderStuckInPending", true]);
  const over = rendered(exporter, notificationOf(resolvedOf()));
  assert.equal(over.subject, "RESOLVED after 1h: OrderStuckInPending order/o1: Order o1 has been pending for 30m");
  assert.match(over.text, /^ {2}resolved: 2026-01-01T04:02:00.000Z \(recovered\)$/m);
  assert.match(rendered(exporter, { ...notificationOf(alertOf()), cause: "repeat" }).text, /^Still firing since 2026-01-01T03:02:00.000Z\.$/m);
  const trial = rendered(exporter, { ...notificationOf(alertOf()), cause: "test" });
  assert.match(trial.subject, /^TEST FIRING: /);
  assert.match(trial.text, /^TEST: somebody tried/m);
});

test("mails of one incident are one conversation; every attempt at one is the same mail, every other one another", async (t) => {
  const { smtp, notify } = await setUp(t);
  const fired = notificationOf(alertOf());
  const resolved = { ...notificationOf(resolvedOf()), id: "n2" };
  const again = { ...notificationOf(alertOf({ fired_at: FIRED_AT + 1 })), id: "n1" };
  for (const notification of [fired, fired, resolved, again, { ...fired, key: "other" }]) await notify(notification);
  const ids = smtp.mails.map((mail) => headerOf(mail, "Message-ID"));
  assert.match(ids[0]!, /^<[0-9a-f]{32}@example\.org>$/);
  assert.equal(ids[0], ids[1]);
  assert.equal(new Set(ids).size, 4, "an id that the outbox gives again is no other mail's");
  const threads = smtp.mails.map((mail) => headerOf(mail, "In-Reply-To"));
  assert.deepEqual(smtp.mails.map((mail) => headerOf(mail, "References")), threads);
  assert.equal(new Set(threads.slice(0, 4)).size, 1);
  assert.notEqual(threads[4], threads[0]);
});

test("nothing that comes from outside becomes a header, markup or a link that runs", async (t) => {
  const { smtp, exporter, notify } = await setUp(t);
  const evil = "x\r\nBcc: evil@example.org\r\n\r\n<script>alert(1)</script> \" ' & \u202e\u0000";
  const alert = alertOf({
    alert: evil, resource: { type: evil, id: evil }, annotations: { summary: evil, description: evil, runbook_url: `javascript:alert("1")` },
    labels: { severity: evil, [evil]: evil }, details: { [evil]: evil }, value: evil,
    story: { transitions: [], others: 0, url: "https://x.example/\"onload=\"<b>" },
    observation: { source: evil, time: 1, id: evil, attributes: { [evil]: evil }, body: evil },
  });
  const notification = { ...notificationOf(alert), key: evil, id: evil, group: { [evil]: evil } };
  await notify(notification);
  const mail = smtp.mails[0]!;
  assert.deepEqual(mail.to, ["ops@example.org"]);
  assert.equal(headerOf(mail, "Bcc"), undefined);
  const { html, subject, text } = rendered(exporter, notification);
  assert.doesNotMatch(subject, /\p{Cc}|\u202e/u);
  assert.doesNotMatch(text, /[^\P{Cc}\n]|\u202e/u);
  assert.doesNotMatch(html, /<script|javascript:|[^\P{Cc}\n]|"onload|<b>/u);
});

test("whatever the alerts hold, the mail is bounded and sent", async (t) => {
  const { smtp, exporter, notify } = await setUp(t, { alerts_max: 100 });
  const huge = "😀<&>".repeat(5_000);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}${huge}`, huge]));
  const alert = alertOf({ alert: huge, annotations: { summary: huge, description: huge }, labels: many, details: many, resource: { type: huge, id: huge } });
  const notification = notificationOf(...Array.from({ length: 1_000 }, () => alert));
  await notify(notification);
  assert.equal(smtp.mails.length, 1);
  const { html, subject, text } = rendered(exporter, notification);
  assert.ok(subject.length <= 200 && text.length < 300_000 && html.length < 900_000, `${subject.length} ${text.length} ${html.length}`);
  assert.match(text, /^\+9\d\d more$/m);
});

test("STARTTLS with a login, and TLS from the start", async (t) => {
  const { key, cert } = certificate;
  const starttls = await setUp(t, withTls(login), { key, cert, auth: true });
  await starttls.notify(notificationOf(alertOf()));
  const implicit = await setUp(t, withTls({ ...login, encryption: "implicit" }), { key, cert, auth: true, implicit: true });
  await implicit.notify(notificationOf(alertOf()));
  for (const { smtp } of [starttls, implicit]) assert.deepEqual(smtp.mails.map(({ secure, user }) => [secure, user]), [[true, SMTP_USER]]);
});

test("a server that offers no STARTTLS, or that nobody vouches for, gets neither password nor mail", async (t) => {
  const { key, cert } = certificate;
  const stripped = await setUp(t, withTls(login), { key, cert, plain: true });
  assert.ok(!((await failure(stripped.notify(notificationOf(alertOf())))) instanceof PermanentError));
  for (const implicit of [false, true]) {
    const unknown = await setUp(t, { ...login, host: "localhost", encryption: implicit ? "implicit" : "starttls" }, { key, cert, implicit });
    assert.match((await failure(unknown.notify(notificationOf(alertOf())))).message, /self-signed|self signed/);
    assert.equal(unknown.smtp.mails.length, 0);
  }
  assert.equal(stripped.smtp.mails.length, 0);
});

test("a refused login is permanent and says who was refused, without the password that the server repeats", async (t) => {
  const { key, cert } = certificate;
  const wrong = `wrong-${SMTP_PASSWORD}`;
  const { notify } = await setUp(t, withTls({ username: SMTP_USER, password: wrong }), { key, cert, auth: true });
  const error = await failure(notify(notificationOf(alertOf())));
  assert.ok(error instanceof PermanentError);
  assert.match(error.message, /^localhost:\d+ refused the login of sojourn \(535\)$/);
  const open = await setUp(t, login);
  assert.match((await failure(open.notify(notificationOf(alertOf())))).message, /refused the login of sojourn/);
  assert.equal(open.smtp.mails.length, 0, "a server that knows no login gets no mail from one who has one");
});

const at = (step: "connect" | "mail" | "data", code: number, text: string) => ({ step, code, text });
for (const [name, { step, code, text }, permanent] of [
  ["421 at the greeting", at("connect", 421, "too busy"), false],
  ["554 at the greeting", at("connect", 554, "no service here"), true],
  ["451 for the sender", at("mail", 451, "greylisted"), false],
  ["550 for the sender", at("mail", 550, "not you"), true],
  ["452 for the mail", at("data", 452, "no room"), false],
  ["552 for the mail", at("data", 552, `too large ${SMTP_PASSWORD}`), true],
] as const) {
  test(`${name}: ${permanent ? "permanent" : "worth another attempt"}, and what the server said`, async (t) => {
    const { smtp, notify } = await setUp(t, login, { plain: true, auth: true });
    smtp.failNext(step, { code, text });
    const error = await failure(notify(notificationOf(alertOf())));
    assert.equal(error instanceof PermanentError, permanent, inspect(error));
    assert.match(error.message, new RegExp(`answered ${code} `));
    assert.equal(smtp.mails.length, 0);
    await notify(notificationOf(alertOf()));
    assert.equal(smtp.mails.length, 1);
  });
}

test("recipients that are refused for good are reported, and the others get the mail once", async (t) => {
  const { smtp, recorded, notify } = await setUp(t, { to: ["gone@example.org", "ops@example.org"] });
  smtp.recipients.set("gone@example.org", { code: 550, text: "no such user" });
  await notify(notificationOf(alertOf()));
  assert.deepEqual(smtp.mails.map(({ to }) => to), [["ops@example.org"]]);
  assert.match(recorded.reports.join(), /answered 550 no such user to RCPT TO/);
  smtp.recipients.set("ops@example.org", { code: 550, text: "no such user" });
  assert.ok((await failure(notify(notificationOf(alertOf())))) instanceof PermanentError);
});

test("recipients that are put off are asked for again alone", async (t) => {
  const { smtp, notify } = await setUp(t, { to: ["slow@example.org", "ops@example.org", "Late <late@example.org>"] });
  for (const address of ["slow@example.org", "late@example.org"]) smtp.recipients.set(address, { code: 450, text: "greylisted" });
  const error = await failure(notify(notificationOf(alertOf())));
  assert.ok(!(error instanceof PermanentError));
  assert.match(error.message, /put off 2 of 3 recipients$/);
  smtp.recipients.delete("late@example.org");
  await failure(notify(notificationOf(alertOf())));
  smtp.recipients.clear();
  await notify(notificationOf(alertOf()));
  assert.deepEqual(smtp.mails.map(({ to }) => to), [["ops@example.org"], ["late@example.org"], ["slow@example.org"]]);
  assert.equal(new Set(smtp.mails.map((mail) => headerOf(mail, "Message-ID"))).size, 1);
  await notify({ ...notificationOf(alertOf()), id: "n2" });
  assert.equal(smtp.mails.at(-1)!.to.length, 3);
});

test("when all are put off, or some put off and the others refused, it is worth another attempt", async (t) => {
  const { smtp, notify } = await setUp(t, { to: ["slow@example.org", "gone@example.org"] });
  smtp.recipients.set("slow@example.org", { code: 450, text: "greylisted" }).set("gone@example.org", { code: 550, text: "no such user" });
  assert.ok(!((await failure(notify(notificationOf(alertOf())))) instanceof PermanentError));
});

test("a lost answer, a server that hangs, and one that is not there are worth another attempt; the signal ends the wait", async (t) => {
  const { smtp, exporter, notify } = await setUp(t);
  smtp.failNext("data", "lost");
  assert.ok(!((await failure(notify(notificationOf(alertOf())))) instanceof PermanentError));
  smtp.failNext("mail", "silence");
  const error = await failure(exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(50)));
  assert.match(messageOf(error), /^mail by 127\.0\.0\.1:\d+: .*timeout/);
  await until("the connection is closed", () => smtp.connections === 0);
  await smtp[Symbol.asyncDispose]();
  assert.match(messageOf(await failure(notify(notificationOf(alertOf())))), /ECONNREFUSED/);
});

test("stop ends what is under way, and leaves nothing open", async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
  t.after(() => silent.close());
  const { exporter } = create((silent.address() as AddressInfo).port);
  const sending = failure(exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(5_000)));
  await until("it is connected", () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length > 0);
  await exporter.stop!();
  await exporter.stop!();
  assert.match(messageOf(await sending), /stopping/);
  await until("no socket is open", () => !process.getActiveResourcesInfo().includes("TCPSocketWrap"));
  await failure(exporter.notify!(notificationOf(alertOf()), AbortSignal.timeout(5_000)));
});

test("a password in the clear, half a login, and addresses with a second line are refused when the configuration is loaded", () => {
  const { context } = exporterContext({ clock: realClock });
  const base = { host: "mail.example.org", from: "a@example.org", to: ["b@example.org"] };
  const clear = (): unknown => email.create(configured(email.schema, { ...base, ...login, encryption: "none" }), context);
  assert.throws(clear, (error) => error instanceof ConfigError && error.pointer === "/encryption" && !inspect(error).includes(SMTP_PASSWORD));
  for (const bad of [{ username: "u" }, { password: "p" }, { from: "a@example.org\r\nBcc: c@example.org" }, { to: ["nobody"] }, { to: [] }, { subject_prefix: "a\nb" }]) {
    assert.throws(() => configured(email.schema, { ...base, ...bad }), inspect(bad));
  }
});

test("who sends is told by the address, whatever stands around it", async (t) => {
  for (const [from, domain] of [["a@x.example", "x.example"], ["A B <a@y.example>", "y.example"], ["a@[127.0.0.1]", "sojourn.invalid"]] as const) {
    const { smtp, notify } = await setUp(t, { from });
    await notify(notificationOf(alertOf()));
    assert.ok(headerOf(smtp.mails[0]!, "Message-ID")!.endsWith(`@${domain}>`), from);
  }
});

