import assert from "node:assert/strict";
import { test } from "node:test";
import { secretsSent, withoutSecrets } from "../../src/sdk/http_secrets.ts";

const basic = (text: string): string => Buffer.from(text).toString("base64");
const echoed = (headers: Record<string, string>, url: string, text: string, pathToo = false): string => withoutSecrets(secretsSent(headers, new URL(url), pathToo), text);

test("whatever part of what was sent a destination repeats, it is masked", () => {
  const headers = { authorization: `Basic ${basic("alice:pa ss-word")}`, "x-api-key": "k3y-k3y-k3y" };
  const url = "https://bob:p%40ssw0rd@am.example/api?token=t0ken-t0ken&v=1&k=a%2Fb-c";
  for (const secret of ["k3y-k3y-k3y", `Basic ${basic("alice:pa ss-word")}`, basic("alice:pa ss-word"), "pa ss-word", "p%40ssw0rd", "p@ssw0rd", basic("bob:p@ssw0rd"), "t0ken-t0ken", "a%2Fb-c", "a/b-c"]) {
    assert.equal(echoed(headers, url, `no: ${secret}!`), "no: REDACTED!", secret);
  }
  assert.equal(echoed({ authorization: "Bearer abcd-efgh" }, url, "abcd-efgh"), "REDACTED");
});

test("what is no secret stays readable", () => {
  const headers = { "content-type": "application/json", "x-scope-orgid": "eu" };
  assert.equal(echoed(headers, "https://am.example/api/v2/alerts?v=1", "eu wants application/json at /api/v2/alerts"), "eu wants application/json at /api/v2/alerts");
});

test("where the path is a secret, neither the whole nor a long part of it is repeated", () => {
  const url = "https://chat.example/hooks/T0AB/0123456789abcdef?x=1";
  assert.equal(echoed({}, url, "POST /hooks/T0AB/0123456789abcdef?x=1", true), "POST REDACTED");
  assert.equal(echoed({}, url, "0123456789abcdef is unknown in hooks", true), "REDACTED is unknown in hooks");
});

test("what is repeated is bounded", () => {
  assert.equal(echoed({}, "https://a.example", "x".repeat(10_000)).length, 400);
});
