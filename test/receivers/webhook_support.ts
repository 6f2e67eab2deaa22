import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { webhook } from "../../receivers/webhook.ts";
import { createListeners, type AgentListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { Receiver } from "../../src/sdk/component.ts";
import { silentLog, type Logger } from "../../src/sdk/log.ts";
import { wholeBody, type Json, type Observation } from "../../src/sdk/observation.ts";
import { configured } from "../support/configured.ts";
import { receiverContext, type Parts, type Recorded } from "../support/context.ts";

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A started webhook receiver on a real socket. */
export interface Hook extends AsyncDisposable {
  readonly recorded: Recorded;
  readonly listeners: AgentListeners;
  readonly receiver: Receiver;
  /** POSTs; an object goes as JSON. */
  post(body: Json | Buffer, headers?: Record<string, string>, options?: { readonly path?: string; readonly method?: string }): Promise<Answered>;
  observations(): readonly Observation[];
  bodies(): Json[];
}

const ADDRESS = "127.0.0.1:0";

/** Starts a webhook on `/hook`. Listeners given are left open by disposal. */
export async function hooked(
  config: object = {}, { log = silentLog, ...parts }: Partial<Parts> & { readonly log?: Logger } = {}, own?: AgentListeners,
): Promise<Hook> {
  const listeners = own ?? createListeners({ clock: parts.clock ?? realClock, log: silentLog });
  const { context, recorded } = receiverContext({ clock: realClock, id: "webhook/test", listeners, ...parts });
  const receiver = webhook.create(configured(webhook.schema, { listen: ADDRESS, path: "/hook", ...config }), { ...context, log });
  await receiver.start!();
  return {
    recorded,
    listeners,
    receiver,
    post: (body, headers = {}, { path = "/hook", method = "POST" } = {}) =>
      sent(listeners.port(ADDRESS)!, method, path, body, headers),
    observations: () => recorded.emitted.flatMap(({ batch }) => [...batch]),
    bodies: () => recorded.emitted.flatMap(({ batch }) => batch.map(({ body }) => wholeBody(body))),
    async [Symbol.asyncDispose]() {
      await receiver.stop!();
      if (own === undefined) await listeners.close();
    },
  };
}

function sent(port: number, method: string, path: string, body: Json | Buffer, headers: Record<string, string>): Promise<Answered> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { port, host: "127.0.0.1", method, path, agent: false, headers: { "content-type": "application/json", "content-length": String(bytes.length), ...headers } },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", reject)
          .on("end", () => resolve({ status: incoming.statusCode!, headers: incoming.headers, body: Buffer.concat(chunks).toString() }));
      },
    );
    outgoing.on("error", reject).end(bytes);
  });
}
