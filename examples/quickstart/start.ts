/**
 * `npm start`: a small shop, the agent that watches it by agent.yaml, and where to look.
 *
 * Ends with 130 on Ctrl-C, when both have ended; with 1 when one of them ends by itself, or cannot start. Writes nothing
 * into the clone: what they write is in a temporary folder, removed at the end.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startChild, type Child } from "./children.ts";
import { checkFree, HOST, PORTS, portsFrom, StartError } from "./ports.ts";

const READY_MS_MAX = 60_000;
const PARENT_CHECK_MS = 1_000;
const root = join(import.meta.dirname, "..", "..");
const here = relative(root, import.meta.dirname);

const say = (line: string): void => void process.stdout.write(`sojourn: ${line}\n`);

/** Resolves when somebody wants us to end, with the exit code of that. At the second time `again` is called. */
function untilStopped(again: () => void): Promise<number> {
  return new Promise((resolve) => {
    let told = false;
    const stop = (code: number): void => {
      if (told) again();
      told = true;
      resolve(code);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(128 + constants.signals[signal]));
    // Whoever read our output is gone.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => told || stop(128 + constants.signals.SIGPIPE));
    const parent = process.ppid;
    setInterval(() => process.ppid === parent || told || stop(128 + constants.signals.SIGHUP), PARENT_CHECK_MS).unref();
  });
}

/** The shop's address, which it says when it is open. */
function urlOf(shop: Child): Promise<string> {
  return new Promise((resolve) => shop.process.once("message", (message) => resolve((message as { url: string }).url)));
}

async function untilAnswered(urls: readonly string[]): Promise<void> {
  const begin = performance.now();
  for (const url of urls) {
    for (;;) {
      const status = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(5_000) }).then(
        async (response) => (await response.arrayBuffer(), response.status),
        () => 0,
      );
      if (status === 200) break;
      if (performance.now() - begin > READY_MS_MAX) throw new StartError(`${url} does not answer after ${READY_MS_MAX / 1_000} s`);
      await sleep(100);
    }
  }
}

async function run(folder: string, children: Child[], stopped: Promise<number>): Promise<number> {
  const ports = portsFrom(process.env);
  await checkFree(Object.values(ports));
  const metrics = `http://${HOST}:${ports.metrics.port}/metrics`;
  const api = `http://${HOST}:${ports.api.port}`;
  const log = join(folder, "shop", "shop.log");
  mkdirSync(join(folder, "shop"));
  const secret = `whsec_${randomBytes(32).toString("base64")}`;

  const shop = startChild("shop", {
    args: [join(here, "shop", "shop.ts")],
    cwd: root,
    env: { SHOP_LOG: log, SHOP_WEBHOOK_SECRET: secret, SHOP_WEBHOOK_URL: `http://${HOST}:${ports.webhooks.port}/webhooks/orders` },
    prefix: "shop | ",
  });
  children.push(shop);
  say(`starting the shop (process ${shop.process.pid}) …`);
  const over = Promise.race([stopped, shop.ended.then(() => shop)]);
  const shopUrl = await Promise.race([urlOf(shop), over]);
  if (typeof shopUrl !== "string") return end(shopUrl);

  const moved = Object.entries(ports).filter(([name, { port }]) => port !== PORTS[name as keyof typeof PORTS].port);
  const settings = ["service.log.format=pretty", ...moved.map(([, { key, port }]) => `${key}=${HOST}:${port}`)];
  const agent = startChild("agent", {
    args: [join("src", "main.ts"), "run", "--config", here, ...settings.flatMap((setting) => ["--set", setting])],
    cwd: root,
    env: { SHOP_URL: shopUrl, SHOP_LOG: log, SHOP_WEBHOOK_SECRET: secret, STATE_DIRECTORY: join(folder, "state") },
  });
  children.push(agent);
  say(`starting the agent (process ${agent.process.pid}) …`);
  const overNow = Promise.race([over, agent.ended.then(() => agent)]);
  const urls = { metrics, resources: `${api}/api/v1/resources`, alerts: `${api}/api/v1/alerts`, health: `${api}/-/healthy` };
  const early = await Promise.race([untilAnswered(Object.values(urls)), overNow]);
  if (early !== undefined) return end(early);

  say("the agent watches the shop. Look at");
  for (const [name, url] of Object.entries(urls)) say(`  ${name.padEnd(10)} ${url}`);
  say(`  config     ${join(here, "agent.yaml")} (change it: the agent follows)`);
  say("Within seconds an order is stuck in pending; when it moves on, the alert resolves. Ctrl-C ends both.");
  return end(await overNow);
}

/** Why it is over: somebody wants it, or a child ended by itself. */
async function end(reason: number | Child): Promise<number> {
  if (typeof reason === "number") {
    say("stopping …");
    return reason;
  }
  say(`the ${reason.name} ended by itself with exit code ${await reason.ended}: stopping`);
  return 1;
}

const children: Child[] = [];
const stopped = untilStopped(() => children.forEach((child) => child.process.kill("SIGKILL")));
const folder = mkdtempSync(join(tmpdir(), "sojourn-quickstart-"));
try {
  process.exitCode = await run(folder, children, stopped);
} catch (error) {
  process.stderr.write(`sojourn: ${error instanceof StartError ? error.message : (error as Error).stack}\n`);
  process.exitCode = 1;
}
// The agent first: the shop is what it watches.
for (const child of children.toReversed()) say(`the ${child.name} ended with exit code ${await child.stop()}`);
rmSync(folder, { recursive: true, force: true });
// What still waits, for an answer say, waits in vain.
process.exit();
