import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { compileGlob, matchesPath } from "../../receivers/log_tail/glob.ts";
import { walk } from "../../receivers/log_tail/walk.ts";
import { temporary } from "./log_tail_support.ts";

const matches = (pattern: string, path: string): boolean => compileGlob(pattern, "/cwd").some((glob) => matchesPath(glob, path));

test("a glob matches what a shell, or the Collector, would match", () => {
  const yes: readonly [string, string][] = [
    ["/a/*.log", "/a/x.log"], ["/a/*.log", "/a/.hidden.log"], ["/a/?.log", "/a/x.log"], ["/a/x.log", "/a/x.log"],
    ["*.log", "/cwd/x.log"], ["./*.log", "/cwd/x.log"], ["../x.log", "/x.log"], ["/a//b/./x", "/a/b/x"],
    ["/**/x.log", "/x.log"], ["/**/x.log", "/a/b/x.log"], ["/a/**", "/a/b/c"], ["/a/**/b/**/c", "/a/1/b/2/3/c"],
    ["/a/[a-c]1", "/a/b1"], ["/a/[!a-c]1", "/a/d1"], ["/a/[^a-c]1", "/a/d1"], ["/a/[]]", "/a/]"], ["/a/[a\\-c]", "/a/-"],
    ["/a/{x,y}.log", "/a/y.log"], ["/a/{x,y{1,2}}.log", "/a/y2.log"], ["/{a,b/c}/x", "/b/c/x"], ["/a/{,x}y", "/a/y"],
    ["/a/\\*", "/a/*"], ["/a/\\{x", "/a/{x"], ["/a/a*b*c", "/a/a-b-b-c"], ["/a/[{]x", "/a/{x"],
  ];
  const no: readonly [string, string][] = [
    ["/a/*.log", "/a/b/x.log"], ["/a/*.log", "/a/x.log.1"], ["/a/?.log", "/a/.log"], ["/a/[a-c]1", "/a/d1"], ["/a/\\*", "/a/x"],
    ["/a/**/x", "/b/x"], ["/a/{x,y}", "/a/{x,y}"], ["/a/a*b*c", "/a/abcd"], ["*.log", "/x.log"],
  ];
  for (const [pattern, path] of yes) assert.ok(matches(pattern, path), `${pattern} should match ${path}`);
  for (const [pattern, path] of no) assert.ok(!matches(pattern, path), `${pattern} should not match ${path}`);
});

test("a malformed glob says what is wrong", () => {
  const wrong: readonly [string, RegExp][] = [
    ["", /empty/], ["/a/[x", /\[ is not closed/], ["/a/{x", /\{ is not closed/], ["/a/x\\", /escapes nothing/],
    ["/a/[z-a]", /range z-a is empty/], [`/${"{a,b}".repeat(11)}`, /more than 1000/], ["/a\0", /NUL/], ["/", /names no file/],
    ["x".repeat(5_000), /longer/],
  ];
  for (const [pattern, message] of wrong) assert.throws(() => compileGlob(pattern, "/cwd"), message, pattern);
});

test("a hostile glob takes no time", () => {
  const started = performance.now();
  assert.ok(!matches(`/${"*a".repeat(200)}b`, `/${"a".repeat(250)}`));
  assert.ok(!matches(`/${"**/a/".repeat(30)}b`, `/${"a/".repeat(200)}c`));
  assert.ok(performance.now() - started < 1_000);
});

test("the walk follows named links, not those below **, and survives cycles", async () => {
  await using dir = await temporary();
  const at = (name: string): string => join(dir.path, name);
  await mkdir(at("pods/a"), { recursive: true });
  await writeFile(at("pods/a/0.log"), "");
  await writeFile(at("top.log"), "");
  await symlink(at("pods"), at("linked"));
  await symlink(dir.path, at("pods/cycle"));
  await symlink(at("nowhere"), at("dangling.log"));
  const found = async (...patterns: string[]): Promise<string[]> => {
    const seen = await walk(patterns.flatMap((pattern) => compileGlob(pattern, dir.path)), []);
    assert.equal(seen.unreadable.size, 0);
    return seen.found.map(({ path }) => path.slice(dir.path.length + 1));
  };
  assert.deepEqual(await found("**/*.log"), ["pods/a/0.log", "top.log"]);
  assert.deepEqual(await found("linked/*/*.log"), ["linked/a/0.log", "linked/cycle/top.log"]);
  assert.deepEqual(await found("*.log", "*.log"), ["top.log"]);
  assert.deepEqual(await found("**/**/a/**/*.log"), ["pods/a/0.log"]);
  assert.deepEqual(await found("missing/**/*.log", "top.log/x"), []);
});
