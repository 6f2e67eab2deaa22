import assert from "node:assert/strict";
import { chmod, mkdir, rename, rm, symlink } from "node:fs/promises";
import test from "node:test";
import { component, ids, workspace } from "./support.ts";

const receiver = (id: string, url: string): string => `receivers:\n  ${id}: { url: ${url} }\n`;
const pipeline = (name: string, receiverId: string): string => `service:\n  pipelines:\n    ${name}: { receivers: [${receiverId}] }\n`;
const url = (loaded: Parameters<typeof component>[0], id: string): unknown => component(loaded, id).config["url"];

test("every YAML file of a directory adds up, and may use what another defines", async () => {
  await using place = await workspace({
    "b.yml": receiver("http_poll/x", "http://b"),
    "a.yaml": pipeline("p", "http_poll/x"),
    ".hidden.yaml": "broken: [",
    "notes.txt": "broken: [",
    "below/c.yaml": "broken: [",
  });
  const loaded = await place.load();
  assert.deepEqual(loaded.problems, []);
  assert.deepEqual(ids(loaded), ["http_poll/x"]);
  assert.deepEqual(loaded.files.map((f) => [f.file, f.ofDirectory, f.status]), [[place.path("a.yaml"), true, "taken"], [place.path("b.yml"), true, "taken"]]);
});

test("the same id defined twice equally is one component", async () => {
  await using place = await workspace({
    "a.yaml": `${receiver("http_poll/x", "http://a")}${pipeline("p", "http_poll/x")}`,
    "b.yaml": `${receiver("http_poll/x", '"http://a"')}${pipeline("p", "http_poll/x")}`,
  });
  const loaded = await place.load();
  assert.deepEqual(loaded.problems, []);
  assert.deepEqual(ids(loaded), ["http_poll/x"]);
});

test("defined differently, at start the lexically first stays and both places are named", async () => {
  await using place = await workspace({
    "b.yaml": `${receiver("http_poll/x", "http://b")}${pipeline("q", "http_poll/x")}`,
    "a.yaml": `${receiver("http_poll/x", "http://a")}${pipeline("p", "http_poll/x")}`,
  });
  const loaded = await place.load();
  assert.deepEqual(place.said(loaded.problems), ["b.yaml:2:3 receivers.http_poll/x: is defined differently at a.yaml:2:3, which stays; make both equal, or rename one"]);
  assert.equal(url(loaded, "http_poll/x"), "http://a");
  assert.deepEqual(loaded.wanted.pipelines.map((p) => p.name), ["p"]);
  assert.deepEqual(loaded.wanted.rejected.map((r) => [r.file, r.lastGoodRuns]), [[place.path("b.yaml"), false]]);
});

test("defined differently while running, the running one stays, wherever it sorts", async () => {
  await using place = await workspace({ "b.yaml": `${receiver("http_poll/x", "http://b")}${pipeline("p", "http_poll/x")}` });
  const loader = place.loader();
  await loader.load();
  await place.write("a.yaml", receiver("http_poll/x", "http://a"));
  const loaded = await loader.load();
  assert.equal(url(loaded, "http_poll/x"), "http://b");
  assert.deepEqual(loaded.wanted.rejected.map((r) => [r.file, r.lastGoodRuns]), [[place.path("a.yaml"), false]]);
  // Made equal, there is nothing to choose any more.
  await place.write("b.yaml", `${receiver("http_poll/x", "http://a")}${pipeline("p", "http_poll/x")}`);
  const after = await loader.load();
  assert.deepEqual(after.problems, []);
  assert.equal(url(after, "http_poll/x"), "http://a");
});

test("two files that change one thing to different values both go back to what runs", async () => {
  const both = (address: string): string => `${receiver("http_poll/x", address)}${pipeline("p", "http_poll/x")}`;
  await using place = await workspace({ "a.yaml": both("http://v1"), "b.yaml": both("http://v1") });
  const loader = place.loader();
  await loader.load();
  await place.write("a.yaml", both("http://v2"));
  await place.write("b.yaml", both("http://v3"));
  const loaded = await loader.load();
  assert.equal(url(loaded, "http_poll/x"), "http://v1");
  assert.equal(loaded.wanted.rejected.length, 2);
});

test("service keys of several files add up; two values for one key are an error naming both", async () => {
  await using place = await workspace({
    "a.yaml": "service: { log: { level: debug }, external_labels: { a: x } }\n",
    "b.yaml": "service: { log: { format: json }, external_labels: { b: y } }\n",
    "c.yaml": "service: { log: { level: warn } }\n",
  });
  const loaded = await place.load();
  assert.deepEqual(place.said(loaded.problems), ["c.yaml:1:19 service.log.level: is defined differently at a.yaml:1:19, which stays; make both equal, or rename one"]);
  assert.deepEqual(loaded.wanted.service.log, { level: "debug", format: "json" });
  assert.deepEqual(loaded.wanted.service.external_labels, { a: "x", b: "y" });
});

test("monitors and pipelines of one name in two files are one when equal, else an error", async () => {
  const monitor = (id: string): string => `monitors:\n  order: { from: { http_poll: { url: http://a } }, id: ${id} }\n`;
  await using place = await workspace({ "a.yaml": monitor("body.id"), "b.yaml": monitor("body.id"), "c.yaml": monitor("body.key") });
  const loaded = await place.load();
  assert.deepEqual(place.said(loaded.problems), ["c.yaml:2:3 monitors.order: is defined differently at a.yaml:2:3, which stays; make both equal, or rename one"]);
  assert.deepEqual(loaded.wanted.pipelines.map((p) => p.name), ["order"]);
});

test("a rejected file freezes what it defined, and the other files go on", async () => {
  await using place = await workspace({
    "a.yaml": `${receiver("http_poll/a", "http://a")}${pipeline("a", "http_poll/a")}`,
    "b.yaml": `${receiver("http_poll/b", "http://b")}${pipeline("b", "http_poll/b")}`,
  });
  const loader = place.loader();
  assert.equal((await loader.load()).changed, true);
  assert.equal((await loader.load()).changed, false);
  await place.write("a.yaml", "receivers: [");
  await place.write("b.yaml", `${receiver("http_poll/b", "http://b2")}${pipeline("b", "http_poll/b")}`);
  const loaded = await loader.load();
  assert.deepEqual([url(loaded, "http_poll/a"), url(loaded, "http_poll/b")], ["http://a", "http://b2"]);
  assert.deepEqual(loaded.wanted.rejected.map((r) => [r.file, r.lastGoodRuns]), [[place.path("a.yaml"), true]]);
  assert.deepEqual(loaded.files.map((f) => f.status), ["frozen", "taken"]);
  await place.write("a.yaml", `${receiver("http_poll/a", "http://a2")}${pipeline("a", "http_poll/a")}`);
  const healed = await loader.load();
  assert.equal(url(healed, "http_poll/a"), "http://a2");
  assert.deepEqual(healed.wanted.rejected, []);
});

test("at start a rejected file contributes nothing, and is listed", async () => {
  await using place = await workspace({ "a.yaml": `${receiver("http_poll/a", "http://a")}${pipeline("a", "http_poll/a")}`, "b.yaml": "receivers: { nothing: {} }\n" });
  const loaded = await place.load();
  assert.deepEqual(ids(loaded), ["http_poll/a"]);
  assert.deepEqual(loaded.wanted.rejected.map((r) => [r.file, r.problems.length, r.lastGoodRuns]), [[place.path("b.yaml"), 1, false]]);
});

test("a deleted file's content goes away", async () => {
  await using place = await workspace({
    "a.yaml": `${receiver("http_poll/a", "http://a")}${pipeline("a", "http_poll/a")}`,
    "b.yaml": `${receiver("http_poll/b", "http://b")}${pipeline("b", "http_poll/b")}`,
  });
  const loader = place.loader();
  await loader.load();
  await place.remove("a.yaml");
  const loaded = await loader.load();
  assert.deepEqual([ids(loaded), loaded.problems, loaded.changed], [["http_poll/b"], [], true]);
  // It was not frozen: broken, it comes back as nothing.
  await place.write("a.yaml", "[");
  assert.deepEqual(ids(await loader.load()), ["http_poll/b"]);
});

test("a file that cannot be read any more is frozen, not gone", async () => {
  await using place = await workspace({ "real/a.yaml": `${receiver("http_poll/a", "http://a")}${pipeline("a", "http_poll/a")}` });
  await symlink(place.path("real/a.yaml"), place.path("a.yaml"));
  const loader = place.loader();
  assert.deepEqual(ids(await loader.load()), ["http_poll/a"]);
  await place.remove("real");
  const loaded = await loader.load();
  assert.deepEqual(ids(loaded), ["http_poll/a"]);
  assert.deepEqual(place.said(loaded.problems), ["a.yaml:1:1 : cannot be read: there is no such file"]);
});

test("a directory that vanishes freezes what it held", async () => {
  await using place = await workspace({ "d/a.yaml": `${receiver("http_poll/a", "http://a")}${pipeline("a", "http_poll/a")}` });
  const loader = place.loader({ sources: [place.path("d")] });
  await loader.load();
  await place.remove("d");
  const loaded = await loader.load();
  assert.deepEqual(ids(loaded), ["http_poll/a"]);
  assert.equal(loaded.wanted.rejected.length, 2);
  // Back again, and empty: now it is known that the file is gone.
  await mkdir(place.path("d"));
  assert.deepEqual(ids(await loader.load()), []);
});

test("a file may use what a frozen file defined last", async () => {
  await using place = await workspace({ "a.yaml": receiver("http_poll/a", "http://a"), "b.yaml": pipeline("b", "http_poll/a") });
  const loader = place.loader();
  await loader.load();
  await place.write("a.yaml", "receivers: { http_poll/a: { intervall: 1s, url: http://new } }");
  const loaded = await loader.load();
  assert.deepEqual(loaded.files.map((f) => f.status), ["frozen", "taken"]);
  assert.equal(url(loaded, "http_poll/a"), "http://a");
});

test("a file that fails only for want of a rejected file says so", async () => {
  await using place = await workspace({ "a.yaml": "receivers: { http_poll/a: { url: 3 } }\n", "b.yaml": pipeline("b", "http_poll/a") });
  const loaded = await place.load();
  assert.deepEqual(loaded.files.map((f) => f.status), ["rejected", "rejected"]);
  assert.deepEqual(place.said(loaded.problems), [
    "a.yaml:1:34 receivers.http_poll/a.url: must be a text, not a number; put it in quotes",
    "b.yaml:3:22 service.pipelines.b.receivers[0]: references receiver http_poll/a, which a.yaml defines, and that was rejected",
  ]);
});

test("a name that a rejected file no longer has is no fault of who uses it", async () => {
  await using place = await workspace({ "a.yaml": receiver("http_poll/a", "http://a"), "b.yaml": pipeline("b", "http_poll/a") });
  const loader = place.loader();
  await loader.load();
  // a renames the receiver and breaks a pipeline of its own: back at its last good version it has the old name.
  await place.write("a.yaml", `${receiver("http_poll/renamed", "http://a")}${pipeline("x", "http_poll/nowhere")}`);
  const loaded = await loader.load();
  assert.deepEqual(loaded.files.map((f) => f.status), ["frozen", "taken"]);
  assert.deepEqual(place.said(loaded.problems), [
    "a.yaml:5:22 service.pipelines.x.receivers[0]: references receiver http_poll/nowhere which is not defined; allowed: http_poll/renamed",
  ]);
});

test("a pipeline whose receiver another file dropped is frozen with it, until it is adapted", async () => {
  await using place = await workspace({ "a.yaml": receiver("http_poll/a", "http://a"), "b.yaml": pipeline("b", "http_poll/a") });
  const loader = place.loader();
  await loader.load();
  await place.write("a.yaml", `${receiver("http_poll/new", "http://a")}`);
  const loaded = await loader.load();
  assert.deepEqual(loaded.files.map((f) => f.status), ["taken", "frozen"]);
  assert.equal(url(loaded, "http_poll/a"), "http://a");
  assert.match(place.said(loaded.problems).join(), /^b\.yaml:3:22 .* references receiver http_poll\/a which is not defined; did you mean http_poll\/new\?/);
  const again = await loader.load();
  assert.equal(again.changed, false);
  await place.write("b.yaml", pipeline("b", "http_poll/new"));
  const adapted = await loader.load();
  assert.deepEqual([ids(adapted), adapted.problems], [["http_poll/new"], []]);
});

test("a pipeline added under the name of a running monitor does not displace it", async () => {
  await using place = await workspace({ "b.yaml": "monitors: { order: { from: { http_poll: { url: http://a } }, id: body.id } }\n" });
  const loader = place.loader();
  await loader.load();
  await place.write("a.yaml", `${receiver("http_poll/a", "http://a")}${pipeline("order", "http_poll/a")}`);
  const loaded = await loader.load();
  assert.deepEqual(loaded.files.map((f) => f.status), ["rejected", "taken"]);
  assert.deepEqual(loaded.wanted.pipelines[0]?.receivers, ["http_poll/order"]);
  assert.deepEqual(place.said(loaded.problems), ["a.yaml:5:5 service.pipelines.order: there is a pipeline order already at b.yaml:1:13 (monitors.order); rename one"]);
});

test("what could not be run is refused: the version before runs, until the file changes", async () => {
  const version = (address: string): string => `${receiver("http_poll/a", address)}${pipeline("a", "http_poll/a")}`;
  await using place = await workspace({ "a.yaml": version("http://v1"), "b.yaml": `${receiver("http_poll/b", "http://b")}${pipeline("b", "http_poll/b")}` });
  const loader = place.loader();
  await loader.load();
  await place.write("a.yaml", version("http://v2"));
  const v2 = await loader.load();
  const problem = { ...component(v2, "http_poll/a").locate("/url"), message: "no such host" };
  assert.equal(loader.refuse([problem]), true);
  const loaded = await loader.load();
  assert.equal(url(loaded, "http_poll/a"), "http://v1");
  assert.deepEqual(place.said(loaded.problems), ["a.yaml:2:23 receivers.http_poll/a.url: no such host"]);
  assert.equal((await loader.load()).changed, false);
  loader.forgive();
  assert.equal(url(await loader.load(), "http_poll/a"), "http://v2");
  await place.write("a.yaml", version("http://v3"));
  assert.equal(url(await loader.load(), "http_poll/a"), "http://v3");
  assert.equal(loader.refuse([{ place: { file: "elsewhere", line: 1, column: 1 }, path: "", message: "x" }]), false);
  // Nobody is to blame: it is tried again, as something that does not run yet.
  const again = await loader.load();
  assert.deepEqual([url(again, "http_poll/a"), again.changed], ["http://v3", true]);
});

test("the links of a ConfigMap are followed, and its swap is seen", async () => {
  await using place = await workspace({ "..1/a.yaml": `${receiver("http_poll/a", "http://v1")}${pipeline("a", "http_poll/a")}` });
  await symlink("..1", place.path("..data"));
  await symlink("..data/a.yaml", place.path("a.yaml"));
  const loader = place.loader();
  assert.equal(url(await loader.load(), "http_poll/a"), "http://v1");
  await place.write("..2/a.yaml", `${receiver("http_poll/a", "http://v2")}${pipeline("a", "http_poll/a")}`);
  await symlink("..2", place.path("..data_tmp"));
  await rename(place.path("..data_tmp"), place.path("..data"));
  await rm(place.path("..1"), { recursive: true });
  const loaded = await loader.load();
  assert.deepEqual([url(loaded, "http_poll/a"), loaded.problems], ["http://v2", []]);
});

test("a directory may hold what is no file, and a file that only root may read is named", async () => {
  await using place = await workspace({ "a.yaml": "version: 1\n" });
  await mkdir(place.path("folder.yaml"));
  assert.deepEqual((await place.load()).problems, []);
  await chmod(place.path("a.yaml"), 0);
  const loaded = await place.load();
  // Root reads everything.
  assert.deepEqual(place.said(loaded.problems), process.getuid?.() === 0 ? [] : ["a.yaml:1:1 : cannot be read: permission denied"]);
});

test("the hash is the same for the same files, wherever they are", async () => {
  const content = `${receiver("http_poll/a", "http://a")}${pipeline("a", "http_poll/a")}`;
  await using one = await workspace({ "a.yaml": content });
  await using two = await workspace({ "z.yaml": `# differently written\n${content}` });
  await using other = await workspace({ "a.yaml": content.replace("http://a", "http://b") });
  const hashes = await Promise.all([one, two, other].map(async (place) => (await place.load()).wanted.hash));
  assert.match(hashes[0]!, /^[0-9a-f]{64}$/);
  assert.equal(hashes[0], hashes[1]);
  assert.notEqual(hashes[0], hashes[2]);
});
