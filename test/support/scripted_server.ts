import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a request gets instead of the destination's own answer. */
export type Failure =
  | { readonly kind: "answer"; readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** Taken, never answered. */
  | { readonly kind: "silence" }
  /** Taken and done, but the connection breaks before the answer. */
  | { readonly kind: "lost" };

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Record<string, string>;
}

/** A server that answers as `answer` says, except for the requests that were told to fail. */
export interface ScriptedServer {
  /** http://127.0.0.1:port */
  readonly origin: string;
  /** The next requests fail so, one each, in order. */
  failNext(...failures: Failure[]): void;
  /** Failures that have not come up yet are forgotten. */
  heal(): void;
  /** Requests so far, failed ones too. */
  readonly requests: number;
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1. */
export async function scriptedServer(answer: (request: IncomingMessage, body: Buffer) => Answer): Promise<ScriptedServer> {
  const failures: Failure[] = [];
  let requests = 0;

  function respond(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    requests++;
    const failure = failures.shift();
    if (failure?.kind === "silence") return;
    if (failure?.kind === "answer") {
      response.writeHead(failure.status, failure.headers).end(failure.body ?? "");
      return;
    }
    const { status, headers, body: text } = answer(request, body);
    if (failure?.kind === "lost") {
      request.socket.destroy();
      return;
    }
    response.writeHead(status, headers).end(text);
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => respond(request, response, Buffer.concat(chunks)));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    failNext: (...more) => void failures.push(...more),
    heal: () => void (failures.length = 0),
    get requests() {
      return requests;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
