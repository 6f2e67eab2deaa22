import assert from "node:assert/strict";
import test from "node:test";
import { component, problemsOf, workspace } from "./support.ts";

const POLL_KEYS = "url, urls, method, interval, retries, verbose, each, headers, max_body_size, auth";

test("every error is told at once, in the order of the file", async () => {
  assert.deepEqual(
    await problemsOf(`receivers:
  http_poll/orders:
    url: http://x
    intervall: 10s
    retries: 20
    method: get
    verbose: yes
    max_body_size: big
  http_pol: { url: a }
exporters:
  slack: { webhook_url: 3, alerts_max: 0 }
service:
  pipelines:
    p: { receivers: [http_poll/ordes], exporters: [slack, http_poll/orders] }
`),
    [
      `a.yaml:4:5 receivers.http_poll/orders.intervall: is not known here; did you mean interval? (allowed: ${POLL_KEYS})`,
      "a.yaml:5:14 receivers.http_poll/orders.retries: 20 is too large; allowed: at most 10",
      "a.yaml:6:13 receivers.http_poll/orders.method: get is not known here; did you mean GET? (allowed: GET, POST)",
      "a.yaml:7:14 receivers.http_poll/orders.verbose: must be true or false, not a text; write true",
      'a.yaml:8:20 receivers.http_poll/orders.max_body_size: "big" is not a size; allowed: a number with a unit, such as 500kB, 1MiB or 2GiB',
      "a.yaml:9:3 receivers.http_pol: there is no receiver of type http_pol; did you mean http_poll? (allowed: http_poll, webhook)",
      "a.yaml:11:25 exporters.slack.webhook_url: must be a text, not a number; put it in quotes",
      "a.yaml:11:40 exporters.slack.alerts_max: 0 is too small; allowed: at least 1",
      "a.yaml:14:22 service.pipelines.p.receivers[0]: references receiver http_poll/ordes which is not defined; did you mean http_poll/orders? (allowed: http_poll/orders)",
      "a.yaml:14:59 service.pipelines.p.exporters[1]: references exporter http_poll/orders which is not defined; http_poll is a receiver",
    ],
  );
});

const one = async (config: string): Promise<string[]> =>
  (await problemsOf(`receivers:\n  http_poll: ${config}\n`)).map((text) => text.replace("receivers.http_poll", "…"));

test("of several alternatives the one that was meant is talked about", async () => {
  assert.deepEqual(await one("{}"), ["a.yaml:2:3 …: one of these is missing: url, urls"]);
  assert.deepEqual(await one("{ url: a, urls: [b] }"), ["a.yaml:2:3 …: url and urls exclude each other; give one"]);
  assert.deepEqual(await one("3"), ["a.yaml:2:14 …: must be a map, not a number"]);
  assert.deepEqual(await one("{ url: a, auth: { bearrer: x } }"), [
    "a.yaml:2:24 ….auth: bearer is missing",
    "a.yaml:2:32 ….auth.bearrer: is not known here; did you mean bearer? (allowed: basic, bearer)",
  ]);
  assert.deepEqual(await one("{ url: a, auth: { basic: { username: x, pasword: hunter2 } } }"), [
    "a.yaml:2:32 ….auth.basic: password is missing",
    "a.yaml:2:54 ….auth.basic.pasword: is not known here; did you mean password? (allowed: username, password, realm)",
  ]);
});

test("formats are explained by example", async () => {
  assert.deepEqual(
    await problemsOf("receivers:\n  webhook: { listen: '8081', path: x }\nprocessors:\n  filter: { match: '(a' }\n"),
    [
      'a.yaml:2:22 receivers.webhook.listen: "8081" is not an address; allowed: host:port, :port or [v6]:port',
      'a.yaml:2:36 receivers.webhook.path: "x" has the wrong form; allowed: text that matches ^/ (Path, from the root)',
      "a.yaml:4:20 processors.filter.match: is not a regular expression: missing closing ): `(a`; allowed: RE2 syntax",
    ],
  );
});

test("a regular expression that could run for ever is refused as RE2 does", async () => {
  assert.match((await problemsOf("processors:\n  filter: { match: '(?=a)' }\n"))[0]!, /a\.yaml:2:20 processors\.filter\.match: is not a regular expression/);
});

test("a mistake in an expression is told at its very character", async () => {
  const [plain] = await one("{ url: x, each: body.orders + nope }");
  assert.match(plain!, /^a\.yaml:2:44 ….each: unknown name: nope/);
  const [quoted] = await one("{ url: x, each: 'body.orders + nope' }");
  assert.match(quoted!, /^a\.yaml:2:45 /);
  const [block] = await one("\n    url: x\n    each: |\n      body.orders +\n        nope\n");
  assert.match(block!, /^a\.yaml:6:9 /);
  // Escapes move the characters: then it is the text that is pointed at.
  const [escaped] = await one('{ url: x, each: "body.\\u006frders + nope" }');
  assert.match(escaped!, /^a\.yaml:2:30 /);
});

test("the service is checked as a whole; the API stays on this machine", async () => {
  assert.deepEqual(
    await problemsOf(`service:
  api: { listen: 0.0.0.0:9465 }
  evaluation_interval: 1ms
  log: { level: loud }
  foo: 1
  external_labels: { 1a: x, b: 2 }
`),
    [
      "a.yaml:2:18 service.api.listen: would let other machines in; allowed: 127.0.0.1:port, localhost:port or [::1]:port (service.health.listen may be open)",
      "a.yaml:3:24 service.evaluation_interval: is too short; allowed: at least 10ms",
      "a.yaml:4:17 service.log.level: loud is not known here; allowed: debug, info, warn, error",
      "a.yaml:5:3 service.foo: is not known here; allowed: pipelines, external_labels, storage, api, health, log, evaluation_interval, catch_up_timeout, shutdown_timeout, dedupe_ttl, dedupe_max, dead_letters_max, heartbeat, receiver_failing, deliveries_max, silences, inhibit_rules, time_intervals",
      "a.yaml:6:22 service.external_labels.1a: this name is not allowed here; allowed: names that match ^[a-zA-Z_][a-zA-Z0-9_]*$",
      "a.yaml:6:32 service.external_labels.b: must be a text, not a number; put it in quotes",
    ],
  );
  for (const open of [":9465", "10.0.0.1:1", "[::]:9465", "example.com:9465", "127.0.0.1.example.com:9465"]) {
    assert.match((await problemsOf(`service: { api: { listen: "${open}" } }\n`)).join(), /would let other machines in/, open);
  }
  for (const closed of ["127.0.0.1:0", "localhost:9465", "[::1]:9465"]) assert.deepEqual(await problemsOf(`service: { api: { listen: "${closed}" }, health: { listen: ":8080" } }\n`), []);
});

test("unquoted braces are told once, with what to write", async () => {
  assert.deepEqual(await problemsOf("exporters:\n  slack: { webhook_url: ${env:URL} }\nservice:\n  log: {}\n"), [
    'a.yaml:2:26 : inside brackets, ${…} needs quotes: "${env:NAME}"',
  ]);
  assert.match((await problemsOf("service:\n  external_labels:\n    a: {{ self.id }}\n")).join(), /^a\.yaml:3:\d+ \S+: a key must be a text.*; a text that begins with \{ needs quotes$/);
});

test("an inline component of no known type is one problem", async () => {
  const found = await problemsOf("service:\n  pipelines:\n    a: { receivers: [{ http_pol: { url: x } }] }\n");
  assert.equal(found.length, 1, found.join("\n"));
  assert.match(found[0]!, /there is no receiver of type http_pol; did you mean http_poll\?/);
});

test("top-level mistakes", async () => {
  const top = "version, receivers, processors, exporters, monitors, service, tests";
  assert.deepEqual(await problemsOf("version: 2\nreciever: {}\nexporters: []\npipelines: {}\ntests: {}\n"), [
    "a.yaml:1:10 version: must be 1",
    `a.yaml:2:1 reciever: is not known here; did you mean receivers? (allowed: ${top})`,
    "a.yaml:3:1 exporters: must be a map, not a list",
    "a.yaml:4:1 pipelines: is not known here; pipelines belong under service",
    "a.yaml:5:1 tests: must be a list",
  ]);
  assert.deepEqual(await problemsOf("just text\n"), [`a.yaml:1:1 : must be a map; allowed: ${top}`]);
});

test("component ids are type or type/name", async () => {
  assert.deepEqual(await problemsOf("receivers:\n  Bad: {}\n  http_poll/: {}\n  http_poll/a b: {}\n  slack: {}\n"), [
    "a.yaml:2:3 receivers.Bad: is no component id; allowed: type or type/name, as in http_poll/orders",
    "a.yaml:3:3 receivers.http_poll/: has a wrong name; allowed after the /: letters, digits, _ - and . (at most 100)",
    "a.yaml:4:3 receivers.http_poll/a b: has a wrong name; allowed after the /: letters, digits, _ - and . (at most 100)",
    "a.yaml:5:3 receivers.slack: slack is no receiver but an exporter; it belongs under exporters",
  ]);
});

test("pipelines are checked", async () => {
  assert.deepEqual(
    await problemsOf(`receivers: { http_poll: { url: x } }
service:
  pipelines:
    p: { processors: [filter] }
    r: { receivers: [], reciever: 1 }
    s: 3
    t: { receivers: http_poll }
    u: { receivers: [http_poll, http_poll, { http_poll: { url: a }, webhook: {} }, 4] }
`),
    [
      "a.yaml:4:5 service.pipelines.p: receivers is missing; a pipeline needs at least one",
      "a.yaml:4:23 service.pipelines.p.processors[0]: references processor filter which is not defined; define it under processors",
      "a.yaml:5:5 service.pipelines.r: receivers is missing; a pipeline needs at least one",
      "a.yaml:5:25 service.pipelines.r.reciever: is not known here; did you mean receivers? (allowed: receivers, processors, exporters)",
      "a.yaml:6:5 service.pipelines.s: must be a map with receivers, processors and exporters",
      "a.yaml:7:21 service.pipelines.t.receivers: must be a list of receivers",
      "a.yaml:8:33 service.pipelines.u.receivers[1]: lists receiver http_poll twice",
      "a.yaml:8:44 service.pipelines.u.receivers[2]: must be one receiver: an id, or a map with one key, its type",
      "a.yaml:8:84 service.pipelines.u.receivers[3]: must be one receiver: an id, or a map with one key, its type",
    ],
  );
});

test("a pipeline may do without processors and without exporters", async () => {
  assert.deepEqual(await problemsOf("receivers: { http_poll: { url: x } }\nservice: { pipelines: { p: { receivers: [http_poll], processors: [], exporters: } } }\n"), []);
});

test("the steps of tests are checked", async () => {
  assert.deepEqual(
    await problemsOf(`tests:
  - name: a
    steps:
      - sned: {}
      - advance: 3
      - expect: { alerts: [{ alrt: x, status: fire }] }
      - { advance: 1m, restart: {} }
      - at: tomorrow
      - {}
  - name: b
    steps: [{ send: { to: webhook/none, body: 1 } }]
`),
    [
      "a.yaml:4:9 tests[0].steps[0].sned: is not known here; did you mean send? (allowed: send, mock, fail, heal, advance, at, restart, reload, silence, acknowledge, expect)",
      "a.yaml:5:18 tests[0].steps[1].advance: 3 is not a duration; allowed: a number with a unit, such as 500ms, 30s, 30m, 1h30m or 7d",
      "a.yaml:6:30 tests[0].steps[2].expect.alerts[0].alrt: is not known here; did you mean alert? (allowed: alert, rule, status, resource, group, type, severity, reason, value, labels, annotations, summary)",
      "a.yaml:6:47 tests[0].steps[2].expect.alerts[0].status: fire is not known here; allowed: firing, resolved",
      "a.yaml:7:9 tests[0].steps[3]: takes exactly one key",
      'a.yaml:8:13 tests[0].steps[4].at: "tomorrow" is not a time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z',
      "a.yaml:9:9 tests[0].steps[5]: must not be empty; allowed: send, mock, fail, heal, advance, at, restart, reload, silence, acknowledge, expect",
      "a.yaml:11:27 tests[1].steps[0].send.to: references receiver webhook/none which is not defined; define it under receivers",
    ],
  );
});

test("inherited names are not mistaken for keys", async () => {
  assert.deepEqual(await one("{ url: a, constructor: 1, toString: 2 }"), [
    `a.yaml:2:24 ….constructor: is not known here; allowed: ${POLL_KEYS}`,
    `a.yaml:2:40 ….toString: is not known here; allowed: ${POLL_KEYS}`,
  ]);
});

test("a shared component is one instance, told apart from another kind's of the same id", async () => {
  await using place = await workspace({ "a.yaml": `receivers: { http_poll: { url: x } }
service: { pipelines: { p: { receivers: [http_poll] }, q: { receivers: [http_poll] } } }
` });
  const loaded = await place.load();
  assert.equal(loaded.wanted.components.length, 1);
  assert.equal(component(loaded, "http_poll").fingerprint, '{"interval":"10s","max_body_size":"1MiB","method":"GET","retries":3,"url":"x","verbose":false}');
});
