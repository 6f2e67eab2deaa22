import assert from "node:assert/strict";
import { test } from "node:test";
import { matcherError, matchesAll, matcherText, parseMatcher } from "../../src/sdk/matchers.ts";

const holds = (text: string, labels: Record<string, string>): boolean => parseMatcher(text).matches(labels);

test("the four operators are Alertmanager's: a label that is missing is empty, a regex matches the whole value", () => {
  assert.ok(holds("team=db", { team: "db" }));
  assert.ok(!holds("team=db", {}));
  assert.ok(holds("team=", {}));
  assert.ok(holds("team!=db", {}));
  assert.ok(!holds("team!=", {}));
  assert.ok(holds('severity=~"critical|page"', { severity: "page" }));
  assert.ok(!holds("severity=~page", { severity: "pager" }));
  assert.ok(!holds("severity=~a|b", { severity: "xb" }), "anchored around all of it");
  assert.ok(holds("severity!~page.*", { severity: "info" }));
  assert.ok(holds(" team = db ", { team: "db" }), "spaces around it do not count");
  assert.ok(matchesAll([parseMatcher("a=1"), parseMatcher("b=~.*")], { a: "1" }));
});

test("quotes hold what has meaning otherwise", () => {
  assert.ok(holds('path="a=\\"b\\", c\\n"', { path: 'a="b", c\n' }));
  assert.ok(holds('"odd name"=x', { "odd name": "x" }));
  const matcher = parseMatcher('path="a\\\\b \\"c\\""');
  assert.deepEqual({ ...parseMatcher(matcherText(matcher)), matches: 0 }, { ...matcher, matches: 0 });
});

test("a name that every object has is a label like any other", () => {
  assert.ok(!holds("constructor=~.+", {}));
  assert.ok(holds("__proto__=", {}));
});

test("what is none says why", () => {
  assert.match(matcherError("team")!, /is not a matcher; allowed: name=value/);
  assert.match(matcherError("1a=b")!, /is not the name of a label/);
  assert.match(matcherError('a="b')!, /without its end/);
  assert.match(matcherError('a=b"c')!, /stray/);
  assert.match(matcherError("a==b")!, /has == for an operator; allowed: =, !=/);
  assert.match(matcherError("a!==b")!, /has !== for an operator/);
  assert.match(matcherError("a= =b")!, /has == for an operator/);
  assert.equal(matcherError('a="=b"'), undefined);
  assert.match(matcherError("a=~(")!, /no regular expression/);
  assert.match(matcherError("a=~)(")!, /no regular expression/);
  assert.match(matcherError(`a=~${"x".repeat(501)}`)!, /too long/);
  assert.equal(matcherError("a=~x{0,9}"), undefined);
});

test("a pattern that backtracks elsewhere takes no time here", () => {
  const matcher = parseMatcher("a=~(a+)+b");
  const begin = performance.now();
  assert.ok(!matcher.matches({ a: "a".repeat(1_024) }));
  assert.ok(performance.now() - begin < 500);
});
