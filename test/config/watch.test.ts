import assert from "node:assert/strict";
import { mkdir, rename, rm, symlink } from "node:fs/promises";
import test from "node:test";
import { watchConfig, type Hint } from "../../src/config/watch.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { component, workspace } from "./support.ts";

const version = (url: string): string => `receivers: { http_poll: { url: ${url} } }\nservice: { pipelines: { p: { receivers: [http_poll] } } }\n`;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await condition()) return;
    await realClock.sleep(20);
  }
  assert.fail("it did not happen within ten seconds");
}

test("a burst of writes ends in one hint, after which loading sees the last of them", async () => {
  await using place = await workspace({ "a.yaml": version("v0") });
  const hints: Hint[] = [];
  const watch = watchConfig({ sources: [place.directory], clock: realClock, onChange: (hint) => hints.push(hint) });
  await watch.ready;
  const loader = place.loader();
  await loader.load();
  for (let i = 1; i <= 10; i++) await place.write("a.yaml", version(`v${i}`));
  await until(async () => hints.length > 0 && component(await loader.load(), "http_poll").config["url"] === "v10");
  assert.ok(hints.length <= 3, `${hints.length} hints for one burst`);
  await watch.close();
});

test("new, deleted and renamed files are noticed, others are not", async () => {
  await using place = await workspace({ "a.yaml": version("v0") });
  let hints = 0;
  const watch = watchConfig({ sources: [place.directory], clock: realClock, onChange: () => hints++ });
  await watch.ready;
  for (const change of [
    () => place.write("b.yaml", "version: 1\n"),
    () => rename(place.path("b.yaml"), place.path("c.yml")),
    () => place.remove("c.yml"),
  ]) {
    hints = 0;
    await change();
    await until(() => hints > 0);
  }
  // A change that follows shows that there was time to notice the one before.
  hints = 0;
  await place.write("notes.txt", "x");
  await realClock.sleep(250);
  assert.equal(hints, 0);
  await watch.close();
});

test("the swap of a ConfigMap's links is noticed, again and again", async () => {
  await using place = await workspace({ "..0/a.yaml": version("v0") });
  await symlink("..0", place.path("..data"));
  await symlink("..data/a.yaml", place.path("a.yaml"));
  let hints = 0;
  const watch = watchConfig({ sources: [place.directory], clock: realClock, onChange: () => hints++ });
  await watch.ready;
  const loader = place.loader();
  for (let i = 1; i <= 3; i++) {
    hints = 0;
    await place.write(`..${i}/a.yaml`, version(`v${i}`));
    await symlink(`..${i}`, place.path("..data_tmp"));
    await rename(place.path("..data_tmp"), place.path("..data"));
    await rm(place.path(`..${i - 1}`), { recursive: true });
    await until(() => hints > 0);
    assert.equal(component(await loader.load(), "http_poll").config["url"], `v${i}`);
  }
  await watch.close();
});

test("a single file that is replaced by rename is noticed every time; its neighbours are not", async () => {
  await using place = await workspace({ "a.yaml": version("v0") });
  let hints = 0;
  const watch = watchConfig({ sources: [place.path("a.yaml")], clock: realClock, onChange: () => hints++ });
  await watch.ready;
  for (let i = 1; i <= 3; i++) {
    hints = 0;
    await place.write("a.yaml.tmp", version(`v${i}`));
    await rename(place.path("a.yaml.tmp"), place.path("a.yaml"));
    await until(() => hints > 0);
  }
  await realClock.sleep(150);
  hints = 0;
  await place.write("b.yaml", "version: 1\n");
  await realClock.sleep(250);
  assert.equal(hints, 0);
  await watch.close();
});

test("every 15 seconds there is a check, whatever was noticed; none after closing", async () => {
  await using place = await workspace();
  const clock = virtualClock();
  const hints: Hint[] = [];
  const watch = watchConfig({ sources: [place.directory], clock, onChange: (hint) => hints.push(hint) });
  await watch.ready;
  await clock.advance(46_000);
  assert.deepEqual(hints, ["check", "check", "check"]);
  await watch.close();
  await watch.close();
  await clock.advance(60_000);
  assert.equal(hints.length, 3);
  assert.equal(clock.pending, 0);
});

test("a directory that appears later is watched from the next check on", async () => {
  await using place = await workspace();
  const clock = virtualClock();
  const hints: Hint[] = [];
  const watch = watchConfig({ sources: [place.path("later")], clock, onChange: (hint) => hints.push(hint) });
  await watch.ready;
  await mkdir(place.path("later"));
  await clock.advance(15_000);
  assert.deepEqual(hints, ["check"]);
  let i = 0;
  // Events come in real time, the debounce passes in virtual time.
  await until(async () => {
    await place.write("later/a.yaml", version(`v${i++}`));
    await clock.advance(200);
    return hints.includes("event");
  });
  await watch.close();
});

test("closing right away waits for nothing", { timeout: 5_000 }, async () => {
  await using place = await workspace();
  const watch = watchConfig({ sources: [place.directory, place.path("none")], clock: virtualClock(), onChange: () => assert.fail("no hint") });
  await watch.close();
  await watch.ready;
});
