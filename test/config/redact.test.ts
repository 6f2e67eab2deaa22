import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { printConfig } from "../../src/config/print.ts";
import { redactText } from "../../src/config/redact.ts";
import { loadConfig } from "../../src/config/load.ts";
import { component, definitions, workspace } from "./support.ts";

test("whatever is or looks secret is masked, everything else is not", async () => {
  await using place = await workspace({
    "a.yaml": `monitors:
  order:
    from:
      http_poll:
        url: "https://user:hunter2@shop.test/x?key=hunter2&page=1"
        headers: { Authorization: Bearer hunter2, X-Shop: hunter2, Accept: application/json }
        auth: { basic: { username: bob, password: hunter2 } }
        retries: "\${env:SHOP_TOKEN_COUNT}"
    id: body.token
    notify: { slack: { webhook_url: https://hooks.test/hunter2, channel: "in \${SLACK_TOKEN} and \${PLACE}" } }
service:
  external_labels: { cluster: "\${API_KEY}", site: "\${file:site}" }
`,
    site: "hunter2\n",
  });
  const env = { SLACK_TOKEN: "hunter2", PLACE: "ops", API_KEY: "hunter2", SHOP_TOKEN_COUNT: "5" };
  const loaded = await place.load({ env });
  assert.deepEqual(place.said(loaded.problems), []);
  assert.deepEqual(component(loaded, "http_poll/order").redacted, {
    url: "https://(redacted)@shop.test/x?key=(redacted)&page=(redacted)",
    headers: { Authorization: "(redacted)", "X-Shop": "(redacted)", Accept: "application/json" },
    auth: { basic: { username: "bob", password: "(redacted)", realm: "shop" } },
    retries: "(redacted)",
    method: "GET",
    interval: "10s",
    verbose: false,
    max_body_size: "1MiB",
  });
  assert.deepEqual(component(loaded, "slack/order").redacted, { webhook_url: "(redacted)", channel: "in (redacted) and ops", alerts_max: 20 });
  // An expression is no secret, even one that reads a token.
  assert.equal(component(loaded, "track/order").redacted["id"], "body.token");
  const shown = printConfig(loaded.wanted, "redacted");
  assert.doesNotMatch(shown, /hunter2/);
  assert.match(shown, /cluster: \(redacted\)\n {4}site: \(redacted\)/);
  assert.match(printConfig(loaded.wanted, "unredacted"), /channel: in hunter2 and ops/);
  // The configuration itself has what it needs.
  assert.equal(component(loaded, "slack/order").config["webhook_url"], "https://hooks.test/hunter2");
});

test("what is printed unredacted is the long form, and loads as the same configuration", async () => {
  await using place = await workspace({
    "a.yaml": `monitors:
  order: { from: [{ http_poll: { url: "x$$y$\${z}$$$$$\${" } }], processors: [{ filter/first: { keep: body.a } }, { filter: { keep: body.b } }], id: body.id, notify: { slack/one: { webhook_url: "on" } } }
service: { external_labels: { a: "1" } }
`,
  });
  const loaded = await place.load();
  assert.deepEqual(place.said(loaded.problems), []);
  const text = printConfig(loaded.wanted, "unredacted");
  assert.match(text, /^version: 1\nreceivers:\n {2}http_poll\/order:\n/);
  assert.match(text, /pipelines:\n {4}order:\n {6}receivers:\n {8}- http_poll\/order\n {6}processors:\n {8}- filter\/first\n {8}- filter\/order#1\n {8}- track\/order\n/);
  await using copy = await workspace({ "a.yaml": text });
  const again = await copy.load();
  assert.deepEqual(copy.said(again.problems), []);
  assert.equal(component(again, "http_poll/order").config["url"], "x$y${z}$$${");
  assert.equal(again.wanted.hash, loaded.wanted.hash);
});

test("no error message holds a secret", async () => {
  await using place = await workspace({
    "a.yaml": `receivers:
  http_poll/a: { url: x, interval: "\${DB_PASSWORD}", method: "\${DB_PASSWORD}", each: "\${DB_PASSWORD} +", max_body_size: "\${file:secret}" }
  http_poll/b: { url: x, auth: { bearer: [hunter2] } }
  http_poll/c: { url: x, interval: "http://user:hunter2@x/?a=hunter2" }
  http_poll/d: { url: 3, headers: { Authorization: [hunter2] } }
exporters:
  slack: { webhook_url: { hunter2: 1 } }
`,
    secret: "hunter2",
  });
  const loaded = await place.load({ env: { DB_PASSWORD: "hunter2" } });
  assert.equal(loaded.problems.length, 9);
  const text = loaded.problems.map((problem) => problem.message).join("\n");
  assert.doesNotMatch(text, /hunter2/);
  assert.match(text, /^it is not a duration/m);
});

test("credentials and query values never survive in a text, wherever in it the URL is", () => {
  assert.equal(redactText("see postgres://bob:hunter2@db:5432/x and http://a/?q=hunter2#t=hunter2."), "see postgres://(redacted)@db:5432/x and http://a/?q=(redacted)#t=(redacted)");
  assert.equal(redactText("http://shop.test/a/b:c@d"), "http://shop.test/a/b:c@d");
  assert.equal(redactText("http://a:b@c:hunter2@host/"), "http://(redacted)@host/");
});

test("a secret variable's value is in no redacted copy, wherever it is used", async () => {
  await using place = await workspace();
  const where = fc.constantFrom("url: '#'", "urls: [a, 'x#y']", "url: x, headers: { a: '#' }", "url: 'http://#@h/'", "url: x, auth: { bearer: '#' }", "url: x, auth: { basic: { username: '#', password: '#' } }");
  const name = fc.constantFrom("MY_SECRET", "token", "DB_PASSWORD", "ApiKey");
  await fc.assert(
    fc.asyncProperty(where, name, async (config, variable) => {
      const file = await place.write("a.yaml", `receivers:\n  http_poll: { ${config.replaceAll("#", `\${${variable}:-none}`)} }\nservice: { pipelines: { p: { receivers: [http_poll] } } }\n`);
      const loaded = await loadConfig({ sources: [file], env: { [variable]: "hunter2" }, definitions });
      assert.deepEqual(loaded.problems, []);
      assert.match(component(loaded, "http_poll").fingerprint, /hunter2/);
      assert.doesNotMatch(printConfig(loaded.wanted, "redacted") + JSON.stringify(component(loaded, "http_poll").redacted), /hunter2/);
    }),
    { numRuns: 40 },
  );
});
