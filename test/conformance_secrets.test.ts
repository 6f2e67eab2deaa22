import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { components } from "../src/components.ts";
import { printConfig } from "../src/config/print.ts";
import type { Schema } from "../src/config/schema_walk.ts";
import { problemText } from "../src/pipeline/problems.ts";
import type { AnyDefinition } from "../src/sdk/component.ts";
import { observation, type Json } from "../src/sdk/observation.ts";
import { safeConfigs, SECRET } from "./support/safe_configs.ts";
import { replacedAt, secretPaths, valuesAt } from "./support/schema_facts.ts";
import { FEED, stage, type Stage } from "./support/stage.ts";

const nameOf = ({ kind, type }: AnyDefinition): string => `${kind} ${type}`;
/** As it is, and as HTTP's basic authentication writes it. */
const shapes = [SECRET, Buffer.from(`u:${SECRET}`).toString("base64"), Buffer.from(`user:${SECRET}`).toString("base64"), Buffer.from(SECRET).toString("base64")];

/** Tells what it was told: an error page that repeats the request, as some frameworks and proxies show. */
let echoing: Server;
let echoStatus = 400;
before(async () => {
  echoing = createServer((request, response) => {
    void told(request).then((text) => {
      response.writeHead(echoStatus, { "content-type": "application/json" }).end(echoStatus === 200 ? `{"orders": "${text}` : JSON.stringify({ status: "invalid event", message: text, errors: [text] }));
    });
  });
  await new Promise<void>((resolve) => void echoing.listen(0, "127.0.0.1", resolve));
});
after(() => {
  echoing.close();
  echoing.closeAllConnections();
});

async function told(request: IncomingMessage): Promise<string> {
  const body = (await request.toArray() as Buffer[]).map(String).join("");
  return `${request.method} ${request.url} ${Object.values(request.headers).join(" ")} ${body}`;
}

const origins: Readonly<Record<string, () => Promise<string>>> = {
  "refuses connections": closedOrigin,
  "answers 400 and repeats what it was sent": () => echo(400),
  "answers 503 and repeats what it was sent": () => echo(503),
  "answers 200 with what it was sent, cut off": () => echo(200),
};

for (const definition of components) {
  const paths = secretPaths(definition.schema as Schema);
  if (paths.length === 0) continue;
  describe(nameOf(definition), () => {
    test("every secret of its schema is planted by the configurations of these tests", async () => {
      const configs = safe(definition, await closedOrigin());
      for (const path of paths) {
        const values = configs.flatMap((config) => valuesAt(config, path));
        assert.ok(values.some((value) => JSON.stringify(value).includes(SECRET)), `test/support/safe_configs.ts plants no ${path}`);
      }
    });

    test("a secret is masked where the configuration is shown, and not repeated where it is refused", async () => {
      for (const config of safe(definition, await closedOrigin())) {
        await using on = await stage(definition, config);
        assert.deepEqual(on.loaded.problems.map(problemText), []);
        silent("print-config", printConfig(on.loaded.wanted, "redacted"));
        assert.equal(printConfig(on.loaded.wanted, "unredacted").includes(SECRET), JSON.stringify(config).includes(SECRET));
      }
      const configs = safe(definition, await closedOrigin());
      for (const path of paths) {
        const config = configs.find((candidate) => valuesAt(candidate, path).length > 0)!;
        for (const wrong of [[SECRET], `${SECRET}\r\n\u0000${SECRET}`]) {
          await using on = await stage(definition, replacedAt(config, path, wrong));
          const { problems, warnings, wanted } = on.loaded;
          silent(`${path} refused`, ...[...problems, ...warnings].map(problemText), printConfig(wanted, "redacted"));
        }
      }
    });

    // What listens is asked by whoever comes; nobody answers it.
    const others = Object.entries(origins).slice(0, nameOf(definition) === "receiver webhook" ? 1 : undefined);
    for (const [how, origin] of others) {
      test(`no secret gets out when the other side ${how}`, async () => {
        for (const config of safe(definition, await origin())) {
          const on = await stage(definition, config);
          try {
            await provoked(on, how);
          } finally {
            await passing(on, on[Symbol.asyncDispose]());
          }
          silent("the log", ...on.log);
        }
      });
    }
  });
}

/** Runs the agent until the component has failed at something, and looks at everything that is said of it. */
async function provoked(on: Stage, how: string): Promise<void> {
  const { agent, clock, loaded, metrics } = on;
  await passing(on, agent.start(loaded.wanted));
  const failed = { id: "o1", status: "failed", amount: 12 };
  await passing(on, agent.emit(FEED, [observation(failed, { source: FEED, time: clock.now(), attributes: {} })]));
  await passing(on, knock(on));
  const said = (): boolean => on.log.some((line) => line.includes("under_test") && /"level":"(?:warn|error)"/.test(line));
  for (let turn = 0; turn < 150 && !said(); turn++) {
    await clock.advance(250);
    await sleep(4);
  }
  // Later failures may say more than the first.
  for (let turn = 0; turn < 20; turn++) {
    await clock.advance(1_000);
    await sleep(2);
  }
  assert.ok(said() || mayTakeIt(on, how), `nothing was said, though the other side ${how}: ${on.log.join("\n")}`);
  const families = metrics.read().map(({ name, help, series }) => [name, help, [...series].map(({ labels }) => labels)]);
  silent("a metric", JSON.stringify(families));
  silent("a status", JSON.stringify([agent.receiverStatuses(), agent.degraded, agent.reloadStatus]));
}

/** Lets time pass until it is done. */
async function passing<T>({ clock }: Stage, work: PromiseLike<T>): Promise<T> {
  let done = false;
  const ended = Promise.resolve(work).finally(() => (done = true));
  ended.catch(() => {});
  while (!done) {
    await clock.advance(50);
    await sleep(1);
  }
  return await ended;
}

/** An answer of 200 is all that some destinations give, and a webhook without signature believes anybody. */
function mayTakeIt(on: Stage, how: string): boolean {
  const [config] = on.loaded.wanted.components.filter(({ id }) => id.endsWith("/under_test"));
  if (config?.kind === "exporter") return ["alertmanager", "otlp", "webhook"].includes(config.type) && how.includes("200");
  return config?.type === "webhook" && config.config["signature"] === undefined;
}

/** What somebody who means no good sends to a webhook. */
async function knock(on: Stage): Promise<void> {
  const { kind, type, config } = on.loaded.wanted.components.find(({ id }) => id.endsWith("/under_test"))!;
  if (kind !== "receiver" || type !== "webhook") return;
  const { listen, path } = config as { listen: string; path: string };
  const at = `http://127.0.0.1:${on.listeners.port(listen)}${path}`;
  const json = { "content-type": "application/json" };
  const requests: RequestInit[] = [
    {}, { method: "POST", body: "{", headers: json }, { method: "POST", body: "{}", headers: { ...json, "content-encoding": "gzip" } },
    { method: "POST", body: "{}", headers: { ...json, "x-signature": "sha256=00", "stripe-signature": `t=${Math.round(on.clock.now() / 1_000)},v1=00` } },
  ];
  for (const request of requests) {
    const answer = await fetch(at, request);
    silent("an answer", await answer.text(), JSON.stringify([...answer.headers]));
  }
}

function silent(where: string, ...texts: readonly string[]): void {
  for (const text of texts) {
    for (const shape of shapes) assert.ok(!text.includes(shape), `${where} holds a secret: ${text}`);
  }
}

function safe(definition: AnyDefinition, origin: string): readonly Json[] {
  return safeConfigs[nameOf(definition)]!({ origin, folder: "/nonexistent" });
}

function echo(status: number): Promise<string> {
  echoStatus = status;
  return Promise.resolve(`http://127.0.0.1:${(echoing.address() as AddressInfo).port}`);
}

/** Nobody listens there: the port was free a moment ago. */
async function closedOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
