import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { PORTS } from "../../examples/quickstart/ports.ts";

const root = join(import.meta.dirname, "..", "..");
const names = ["metrics", "api", "webhooks"] as const;
type Name = (typeof names)[number];

async function listening(): Promise<Server & { readonly port: number }> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

async function freePorts(): Promise<Record<Name, number>> {
  const servers = await Promise.all(names.map(() => listening()));
  const [metrics, api, webhooks] = servers.map(({ port }) => port) as [number, number, number];
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return { metrics, api, webhooks };
}

/** Gives up after a while: whoever asked then finds that it is not so. */
async function until(holds: () => boolean, limitMs = 40_000): Promise<void> {
  for (const begin = performance.now(); !holds() && performance.now() - begin < limitMs; ) await sleep(50);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false)).once("connect", () => socket.destroy());
  });
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The quick start on ports of its own, in a group of its own as a terminal gives it. */
function quickstart(ports: Record<Name, number>) {
  const folder = mkdtempSync(join(tmpdir(), "sojourn-test-"));
  const env = { ...process.env, TMPDIR: folder, ...Object.fromEntries(names.map((name) => [PORTS[name].variable, String(ports[name])])) };
  const child = spawn(process.execPath, [join("examples", "quickstart", "start.ts")], { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (error += text));
  // "close": nobody holds our pipes any more, so the agent, which inherited them, is gone as well.
  const closed = new Promise<number>((resolve) => child.once("close", (code, signal) => resolve(code ?? (signal === null ? -1 : 128))));
  const pid = (name: string): number => Number(new RegExp(`starting the ${name} \\(process (\\d+)\\)`).exec(out)?.[1]);
  return {
    child,
    closed,
    pid,
    get out() {
      return out;
    },
    get error() {
      return error;
    },
    left: () => readdirSync(folder),
    async says(pattern: RegExp) {
      await until(() => pattern.test(out) || child.exitCode !== null);
      assert.match(out + error, pattern);
    },
    async [Symbol.asyncDispose]() {
      for (const left of [child.pid!, pid("shop"), pid("agent")]) if (lives(left)) process.kill(left, "SIGKILL");
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const BANNER = /Ctrl-C ends both/;

void suite("the quick start", { concurrency: true }, () => {
  test("an order gets stuck and moves on, all three sources tell of it, and Ctrl-C ends everything", async () => {
    const ports = await freePorts();
    await using run = quickstart(ports);
    await run.says(BANNER);
    const urls = [...run.out.matchAll(/^sojourn: .* (http:\S+)$/gm)].map(([, url]) => url!);
    assert.equal(urls.length, 4);
    for (const url of urls) assert.equal((await fetch(url)).status, 200, url);

    const stuck = (status: string): RegExp => new RegExp(`${status} +OrderStuckInPending order/ORD-1001`);
    await run.says(stuck("FIRING"));
    await run.says(stuck("RESOLVED"));
    await run.says(/RESOLVED +LargeOrderNotShipped order\/ORD-1004/);
    for (const status of ["FIRING", "RESOLVED"]) assert.equal(run.out.split(stuck(status)).length, 2, `${status} once`);
    assert.doesNotMatch(run.out, /IllegalMove/);
    const order = (await (await fetch(`http://127.0.0.1:${ports.api}/api/v1/resources/order/ORD-1002`)).json()) as { sources: string[] };
    assert.deepEqual(order.sources.toSorted(), ["http_poll/shop", "log_tail/shop", "webhook/shop"]);
    const metrics = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
    assert.match(metrics, /^shop_revenue_euros_total\{region="south"\} \d/m);

    const begin = performance.now();
    process.kill(-run.child.pid!, "SIGINT");
    assert.equal(await run.closed, 130);
    assert.ok(performance.now() - begin < 10_000);
    assert.match(run.out, /the agent ended with exit code 0\nsojourn: the shop ended with exit code 0\n$/);
    assert.deepEqual([run.pid("shop"), run.pid("agent")].map(lives), [false, false]);
    assert.deepEqual(run.left(), []);
  });

  test("killed outright it leaves nobody behind", async () => {
    const ports = await freePorts();
    await using run = quickstart(ports);
    await run.says(BANNER);
    run.child.kill("SIGKILL");
    await run.closed;
    await until(() => !lives(run.pid("shop")) && !lives(run.pid("agent")), 10_000);
    assert.deepEqual([run.pid("shop"), run.pid("agent")].map(lives), [false, false]);
    for (const name of names) assert.equal(await answers(ports[name]), false, name);
  });

  for (const [victim, other] of [["agent", "shop"], ["shop", "agent"]] as const) {
    test(`when the ${victim} dies, the ${other} is stopped and the end is told`, async () => {
      await using run = quickstart(await freePorts());
      await run.says(BANNER);
      process.kill(run.pid(victim), "SIGKILL");
      assert.equal(await run.closed, 1);
      assert.match(run.out, new RegExp(`the ${victim} ended by itself with exit code 137`));
      assert.match(run.out, new RegExp(`the ${other} ended with exit code 0`));
      assert.deepEqual([run.pid("shop"), run.pid("agent")].map(lives), [false, false]);
      assert.deepEqual(run.left(), []);
    });
  }

  test("Ctrl-C while it starts ends it, too", async () => {
    await using run = quickstart(await freePorts());
    await run.says(/starting the agent/);
    process.kill(-run.child.pid!, "SIGINT");
    assert.equal(await run.closed, 130);
    assert.deepEqual([run.pid("shop"), run.pid("agent")].map(lives), [false, false]);
    assert.deepEqual(run.left(), []);
  });

  test("a taken port is one line that names it and the way out, and nothing is started", async () => {
    const taken = await listening();
    try {
      await using run = quickstart({ ...(await freePorts()), metrics: taken.port });
      assert.equal(await run.closed, 1);
      assert.match(run.error, new RegExp(`^sojourn: port ${taken.port} \\(metrics\\) on 127\\.0\\.0\\.1 is taken; [^\n]*QUICKSTART_METRICS_PORT=\\d+ npm start\n$`));
      assert.equal(run.out, "");
      assert.deepEqual(run.left(), []);
    } finally {
      taken.close();
    }
  });
});

test("the ports that are checked and named are those of agent.yaml", () => {
  const config = parse(readFileSync(join(root, "examples", "quickstart", "agent.yaml"), "utf8")) as {
    receivers: Record<string, { listen?: string }>;
  };
  assert.equal(config.receivers["webhook/shop"]!.listen, `127.0.0.1:${PORTS.webhooks.port}`);
  // The other two are defaults; the README of the project names them.
  assert.deepEqual([PORTS.metrics.port, PORTS.api.port], [9464, 9465]);
});

test("agent.yaml keeps what its own tests promise, with no variable set", () => {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SHOP_")));
  const output = execFileSync(process.execPath, [join("src", "main.ts"), "test", "--config", join("examples", "quickstart")], { cwd: root, env, encoding: "utf8" });
  assert.match(output, /^ok +a stuck order pages once and resolves/m);
});
