import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { folderWith, start } from "../cli/spawn.ts";
import { freePorts, pause } from "../support/waiting.ts";

interface ConfigAnswer {
  readonly last_reload: { readonly result: string; readonly error: string | null; readonly time: string };
  readonly rejected: readonly { readonly file: string; readonly last_good_runs: boolean }[];
}

/** Shorter than the slow check of the configuration, so that what asks for a reload is what causes it. */
const SOON_MS = 10_000;

async function soon(what: string, holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + SOON_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < until, `it did not come true: ${what}`);
    await pause(20);
  }
}

const monitor = (type: string, port: number, path: string): string =>
  `monitors: { ${type}: { from: { webhook: { listen: "127.0.0.1:${port}", path: ${path} } }, id: body.id, state: body.state } }\n`;

test("files that are dropped, edited, broken, deleted and swapped are followed while the agent runs; SIGHUP and POST reload", async () => {
  const [port] = await freePorts(1);
  await using folder = await folderWith({ "cluster.txt": "one" });
  const at = (...parts: string[]): string => join(folder.path, ...parts);
  await mkdir(at("conf"));
  // As Kubernetes mounts a ConfigMap: the file leads through `..data` to a folder, and only that link is ever swapped.
  await mkdir(at("mapped", "..v1"), { recursive: true });
  await mkdir(at("mapped", "..v2"));
  await writeFile(at("mapped", "..v1", "m.yaml"), monitor("device", port!, "/v1"));
  await writeFile(at("mapped", "..v2", "m.yaml"), monitor("device", port!, "/v2"));
  await symlink("..v1", at("mapped", "..data"));
  await symlink("..data/m.yaml", at("mapped", "m.yaml"));
  await writeFile(at("conf", "agent.yaml"), `service:
  api: { listen: "127.0.0.1:0" }
  storage: { directory: "${at("state")}" }
  external_labels: { cluster: "\${file:../cluster.txt}" }
${monitor("order", port!, "/orders")}`);

  await using agent = start(["run", "--config", at("conf"), "--config", at("mapped")]);
  const [, api] = await agent.saying(/"api":"(http:\/\/127\.0\.0\.1:\d+)".*"ready"/);
  const config = async (): Promise<ConfigAnswer> => (await (await fetch(`${api}/api/v1/config`)).json()) as ConfigAnswer;
  let sent = 0;
  const post = async (path: string): Promise<number | string> => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ id: `o${sent++}`, state: "new" });
    return await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers, body }).then(({ status }) => status, String);
  };
  const taken = (path: string): Promise<void> => soon(`${path} is taken`, async () => (await post(path)) === 200);
  const gone = (path: string): Promise<void> => soon(`${path} is gone`, async () => (await post(path)) === 404);
  assert.equal(await post("/orders"), 200);

  await writeFile(at("conf", "users.yaml"), monitor("user", port!, "/users"));
  await taken("/users");
  await writeFile(at("conf", "users.yaml"), monitor("user", port!, "/people"));
  await taken("/people");
  await gone("/users");

  await writeFile(at("conf", "users.yaml"), monitor("user", port!, "/people").replace("state:", "stat:"));
  await soon("the broken file is shown", async () => (await config()).rejected.length === 1);
  const broken = await config();
  assert.deepEqual([broken.rejected[0]!.file, broken.rejected[0]!.last_good_runs], [at("conf", "users.yaml"), true]);
  assert.match(broken.last_reload.error!, /users\.yaml:1:\d+ monitors\.user\.stat: /);
  assert.deepEqual([await post("/people"), await post("/orders")], [200, 200], "its last good version and its neighbours run");
  await agent.saying(/users\.yaml:1:\d+ monitors\.user\.stat: .*its last good version keeps running/);

  await rm(at("conf", "users.yaml"));
  await gone("/people");
  assert.equal(await post("/orders"), 200);
  assert.deepEqual((await config()).rejected, []);

  assert.equal(await post("/v1"), 200);
  await symlink("..v2", at("mapped", "..data_tmp"));
  await rename(at("mapped", "..data_tmp"), at("mapped", "..data"));
  await taken("/v2");
  await gone("/v1");

  // No file of the configuration itself changes: nothing but the slow check would notice.
  const reload = async (): Promise<string> =>
    ((await (await fetch(`${api}/-/reload`, { method: "POST" })).json()) as { result: string }).result;
  assert.equal(await reload(), "unchanged");
  const before = (await config()).last_reload.time;
  await writeFile(at("cluster.txt"), "two");
  agent.child.kill("SIGHUP");
  await soon("SIGHUP has reloaded", async () => (await config()).last_reload.time !== before);
  assert.equal(await reload(), "unchanged");
  await writeFile(at("cluster.txt"), "three");
  assert.equal(await reload(), "success");

  agent.child.kill("SIGTERM");
  assert.equal((await agent.ended).code, 0, agent.err);
});

test("an address of the API that is taken rejects its file at its place; the API stays where it was, and says so", async () => {
  await using folder = await folderWith({});
  const file = join(folder.path, "service.yaml");
  const service = (listen: string): string => `service:
  api: { listen: "${listen}" }
  storage: { directory: "${join(folder.path, "state")}" }
`;
  await writeFile(file, service("127.0.0.1:0"));
  await using agent = start(["run", "--config", folder.path]);
  const [, api] = await agent.saying(/"api":"(http:\/\/127\.0\.0\.1:\d+)".*"ready"/);
  const other = createServer();
  await new Promise<void>((resolve) => void other.listen(0, "127.0.0.1", resolve));
  try {
    const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    await writeFile(file, service(taken));
    await agent.saying(/service\.yaml:2:18 service\.api\.listen: .* is taken by another process.*its last good version keeps running/);
    const reload = await fetch(`${api}/-/reload`, { method: "POST" });
    assert.equal(reload.status, 422);
    assert.match(await reload.text(), /service\.yaml:2:18 service\.api\.listen/);
    const { last_reload, rejected } = (await (await fetch(`${api}/api/v1/config`)).json()) as ConfigAnswer;
    assert.deepEqual([last_reload.result, rejected.length], ["failure", 1]);
    assert.ok(!agent.err.includes("no problems any more"), "nothing was mended");
    other.close();
    await once(other, "close");
    assert.equal((await fetch(`${api}/-/reload`, { method: "POST" })).status, 200, "asked again, it is tried again");
    assert.equal((await fetch(`http://${taken}/-/healthy`)).status, 200);
  } finally {
    other.close();
  }
});
