import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../../processors/parse.ts";
import { GROK_PATTERNS } from "../../processors/parse/grok_patterns.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { bodyThrough, created, observed, through } from "../support/processor.ts";

function grok(pattern: string, text: string, patterns: Record<string, string> = {}): Json | undefined {
  return bodyThrough(created(parse, { format: "grok", pattern, patterns }).processor, observed(text));
}

function refused(pattern: string, message: RegExp, patterns: Record<string, string> = {}): void {
  assert.throws(() => grok(pattern, "", patterns), (error) => error instanceof ConfigError && error.pointer === "/pattern" && message.test(error.message));
}

test("an nginx access line in the combined format", () => {
  assert.deepEqual(
    grok("%{COMBINEDAPACHELOG}", '2001:db8::7 - bob@example.org [17/May/2026:10:05:03 +0200] "GET /orders/7?x=1 HTTP/2.0" 200 2326 "https://shop.example/a" "Mozilla/5.0 (X11; \\"q\\")"'),
    {
      clientip: "2001:db8::7", ident: "-", auth: "bob@example.org", timestamp: "17/May/2026:10:05:03 +0200", verb: "GET",
      request: "/orders/7?x=1", httpversion: "2.0", response: "200", bytes: "2326",
      referrer: '"https://shop.example/a"', agent: '"Mozilla/5.0 (X11; \\"q\\")"',
    },
  );
});

test("an access line without bytes, and one whose request is rubbish", () => {
  assert.deepEqual(grok("^%{COMMONAPACHELOG}$", '10.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "POST /pay HTTP/1.1" 304 -'), {
    clientip: "10.0.0.1", ident: "-", auth: "-", timestamp: "01/Jan/2026:00:00:00 +0000", verb: "POST", request: "/pay",
    httpversion: "1.1", response: "304",
  });
  assert.deepEqual(grok("^%{COMMONAPACHELOG}$", 'host-1.example - - [01/Jan/2026:00:00:00 +0000] "\\x16\\x03 \\x01" 400 150'), {
    clientip: "host-1.example", ident: "-", auth: "-", timestamp: "01/Jan/2026:00:00:00 +0000", rawrequest: "\\x16\\x03 \\x01",
    response: "400", bytes: "150",
  });
});

test("an nginx error line", () => {
  assert.deepEqual(
    grok(
      "^%{NGINX_TIME:time} \\[%{LOGLEVEL:level}\\] %{POSINT:pid:int}#%{NONNEGINT:tid:int}: \\*%{NONNEGINT:connection:int} %{GREEDYDATA:message}, client: %{IP:client}",
      '2026/05/17 10:05:03 [error] 4812#0: *17 connect() failed (111: Connection refused), client: 10.1.2.3, server: shop',
      { NGINX_TIME: "%{YEAR}/%{MONTHNUM2}/%{MONTHDAY} %{TIME}" },
    ),
    { time: "2026/05/17 10:05:03", level: "error", pid: 4812, tid: 0, connection: 17, message: "connect() failed (111: Connection refused)", client: "10.1.2.3" },
  );
});

test("syslog lines, with and without a process id", () => {
  assert.deepEqual(grok("%{SYSLOGLINE}", "May  7 10:05:03 shop-1 order-processor[4812]: order ORD-1 failed: card [declined]"), {
    timestamp: "May  7 10:05:03", logsource: "shop-1", program: "order-processor", pid: "4812", message: "order ORD-1 failed: card [declined]",
  });
  assert.deepEqual(grok("%{SYSLOGBASE} %{GREEDYDATA:message}", "Jan 17 00:00:01 192.0.2.4 kernel: oops"), {
    timestamp: "Jan 17 00:00:01", logsource: "192.0.2.4", program: "kernel", message: "oops",
  });
});

test("types convert, and a dotted or bracketed name makes nested fields", () => {
  assert.deepEqual(
    grok("%{WORD:order.status} %{NUMBER:[order][total]:float} %{INT:n:int} %{WORD:ok:bool} %{NUMBER:text:string}", "paid 12.50 -7 TRUE 007"),
    { order: { status: "paid", total: 12.5 }, n: -7, ok: true, text: "007" },
  );
});

test("a value that its type cannot hold is a failure, not a wrong number", () => {
  const { processor, recorded } = created(parse, { format: "grok", pattern: "%{NOTSPACE:n:int}" });
  for (const text of ["12.5", "abc", "12345678901234567890", "1e400"]) assert.deepEqual(through(processor, observed(text)), []);
  assert.deepEqual(new Set(recorded.failed.map((f) => f.reason)), new Set(["field n is no int"]));
});

test("alternatives may name the same field; what did not match is absent", () => {
  const pattern = "(?:id=%{UUID:id}|order %{WORD:id})(?: by %{USER:user})?";
  assert.deepEqual(grok(pattern, "order o7"), { id: "o7" });
  assert.deepEqual(grok(pattern, "id=0f8fad5b-d9cb-469f-a165-70867728950e by ann"), { id: "0f8fad5b-d9cb-469f-a165-70867728950e", user: "ann" });
});

test("named groups in the expression and in own definitions are fields too", () => {
  assert.deepEqual(grok("%{ORDER} (?<state>[a-z]+)", "ORD-7 paid", { ORDER: "(?<id>ORD-[0-9]+)" }), { id: "ORD-7", state: "paid" });
});

test("an own definition goes before the standard one", () => {
  assert.deepEqual(grok("^%{WORD:w}$", "a-b", { WORD: "[a-z-]+" }), { w: "a-b" });
});

test("mistakes are errors of the configuration, with what was probably meant", () => {
  refused("%{WROD:a}", /pattern WROD is not known, did you mean WORD\?/);
  refused("%{timestamp_iso8601:a}", /did you mean TIMESTAMP_ISO8601\?/);
  refused("%{NUMBER:n:integer}", /type integer of field n is not known; allowed are int, long, float/);
  refused("%{WORD}", /names no field/);
  refused("%{WORD:a}%{", /is no reference/);
  refused("%{WORD:a} %{WORD:a.b}", /field a cannot be text and also hold a\.b/);
  refused("%{WORD:a..b}", /not written/);
  refused("%{WORD:[a][__proto__]}", /"__proto__" is not allowed/);
  refused("%{WORD:constructor.x}", /"constructor" is not allowed/);
  refused("(?<!x)%{WORD:a}", /look-around/);
  refused("(?>a)%{WORD:a}", /atomic/);
});

test("an endless or exploding definition is refused at once", () => {
  refused("%{A:x}", /pattern A refers to itself: A > B > A/, { A: "%{B}", B: "x%{A}" });
  const doubling: Record<string, string> = { P30: "x" };
  for (let i = 0; i < 30; i++) doubling[`P${i}`] = `%{P${i + 1}}%{P${i + 1}}`;
  refused("%{P0:x}", /expands to more than/, doubling);
});

test("a field called like a method of every object is a field", () => {
  assert.deepEqual(grok("%{WORD:toString.valueOf} %{WORD:hasOwnProperty}", "a b"), { toString: { valueOf: "a" }, hasOwnProperty: "b" });
});

/** What each standard pattern must match whole, and what it must not. */
const WHOLE: Record<string, { yes: string[]; no: string[] }> = {
  INT: { yes: ["0", "-12", "+7"], no: ["1.5", "a", ""] },
  NUMBER: { yes: ["1", "-1.5", ".5", "1e9", "2.5E-3"], no: ["1.", "abc"] },
  BASE16NUM: { yes: ["0xFF", "deadBEEF"], no: ["xyz"] },
  WORD: { yes: ["paid", "a_1"], no: ["a-b", ""] },
  QUOTEDSTRING: { yes: ['"a \\" b"', "'x'", '""'], no: ['"a', "a"] },
  UUID: { yes: ["0f8fad5b-d9cb-469f-a165-70867728950e"], no: ["0f8fad5b-d9cb-469f-a165"] },
  MAC: { yes: ["00:1A:2b:3c:4d:5e", "00-1A-2b-3c-4d-5e", "001a.2b3c.4d5e"], no: ["00:1A:2b:3c:4d"] },
  IPV4: { yes: ["0.0.0.0", "255.255.255.255"], no: ["256.1.1.1", "1.2.3", "01.2.3.4"] },
  IPV6: {
    yes: ["::", "::1", "1::", "2001:db8::1", "fe80::1%eth0", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "64:ff9b::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7::"],
    no: ["1:2:3", "12345::", ":::", "1.2.3.4"],
  },
  HOSTNAME: { yes: ["a", "shop-1.example.org", "4u.example"], no: ["-a", "a_b", ""] },
  HOSTPORT: { yes: ["a.b:80", "10.0.0.1:9092"], no: ["a.b", "a:x"] },
  UNIXPATH: { yes: ["/", "/var/log/a b.log".replace(" ", "_"), "/a/b-c.d"], no: ["a/b"] },
  URI: { yes: ["http://a.b/c?d=e", "s3://bucket/key", "postgres://u:p@h:5432/db", "http://[::1]:80/"], no: ["/a", "a.b"] },
  MONTH: { yes: ["Jan", "September", "may"], no: ["Janx", "13"] },
  TIME: { yes: ["10:05", "23:59:59", "00:00:00.123", "00:00:60"], no: ["24:00", "10:60"] },
  DATE_US: { yes: ["12/31/2026", "1-2-26"], no: ["31/12/2026"] },
  DATE_EU: { yes: ["31.12.2026", "1/2/26"], no: ["12/31/2026"] },
  ISO8601_TIMEZONE: { yes: ["Z", "+02:00", "-0530"], no: ["+2x"] },
  TIMESTAMP_ISO8601: { yes: ["2026-05-17T10:05:03Z", "2026-05-17 10:05:03,123", "2026-05-17T10:05:03.123456+02:00", "2026-05-17T10:05"], no: ["2026-13-01T00:00:00Z", "2026-05-17"] },
  HTTPDATE: { yes: ["17/May/2026:10:05:03 +0200"], no: ["17/05/2026:10:05:03 +0200"] },
  SYSLOGTIMESTAMP: { yes: ["May  7 10:05:03", "Jan 17 00:00:00"], no: ["7 May 10:05:03"] },
  LOGLEVEL: { yes: ["INFO", "warning", "Error", "fatal", "debug"], no: ["infos", "x"] },
  EMAILADDRESS: { yes: ["a.b+c@example.org"], no: ["a@", "@b"] },
  PROG: { yes: ["sshd", "postfix/smtp"], no: ["a b", "a[1]"] },
};

test("the standard patterns match what their names promise, and only that", () => {
  for (const [name, { yes, no }] of Object.entries(WHOLE)) {
    for (const text of yes) assert.deepEqual(grok(`^%{${name}:x}$`, text), { x: text }, `${name}: ${text}`);
    for (const text of no) assert.equal(grok(`^%{${name}:x}$`, text), undefined, `${name}: ${text}`);
  }
});

test("every standard pattern compiles, and none is so large that lines get short", () => {
  for (const name of GROK_PATTERNS.keys()) {
    assert.doesNotThrow(() => created(parse, { format: "grok", pattern: `%{${name}:x}` }), name);
    assert.doesNotThrow(() => bodyThrough(created(parse, { format: "grok", pattern: `%{${name}:x}` }).processor, observed("a".repeat(5_000))), name);
  }
  const { processor, recorded } = created(parse, { format: "grok", pattern: "%{COMBINEDAPACHELOG}" });
  through(processor, observed("x".repeat(8_192)));
  assert.equal(recorded.failed[0]!.reason, "the pattern does not match");
});
