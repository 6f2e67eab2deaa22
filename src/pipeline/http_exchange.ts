import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../sdk/clock.ts";
import { HttpError, type HttpAnswer, type HttpRequest } from "../sdk/listeners.ts";

// A body must be in after this; longer than any honest sender of a few megabytes needs.
const BODY_MS_MAX = 30_000;
// What is thrown away, so that a peer still sending gets to read its answer. Beyond, it may see a reset.
const DRAIN_BYTES_MAX = 16 * 2 ** 20;
const DRAIN_MS_MAX = 2_000;

/** One request and its answer. */
export interface Exchange {
  readonly request: HttpRequest;
  /** Settles when the answer has left this process, or the peer is gone. Never rejects; the first answer counts. */
  answer(answer: HttpAnswer): Promise<void>;
  /** Aborted by `abort` only, while the request's signal also tells that the peer is gone. */
  readonly givenUp: AbortSignal;
  /** Aborts the request's signal: whoever works on it gives up, and is waited for no longer. */
  abort(reason: Error): void;
  /** Ends the connection, whatever is under way. */
  cut(): void;
}

/** What an error becomes for the peer: `HttpError` says it itself, anything else is not the peer's business. */
export function answerOf(error: unknown): HttpAnswer {
  if (!(error instanceof HttpError)) return { status: 500, body: "internal error\n" };
  return { status: error.status, headers: error.headers, body: `${error.message}\n` };
}

/** Wraps what node:http hands out. `continues`: the peer waits for `100 Continue` before it sends the body. */
export function exchangeOf(
  incoming: IncomingMessage, response: ServerResponse, clock: Clock, continues: boolean,
): Exchange {
  const gone = new AbortController();
  const givenUp = new AbortController();
  let body: Promise<Buffer> | undefined;
  // A stream error without a listener would take the process down; `close` follows and tells the rest.
  incoming.on("error", () => {});
  response.on("error", () => {});
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new HttpError(400, "the peer went away"));
  });

  const request: HttpRequest = {
    method: incoming.method ?? "GET",
    ...target(incoming.url ?? "/"),
    headers: headersOf(incoming),
    remote: incoming.socket.remoteAddress ?? "",
    signal: gone.signal,
    bytes(bytesMax) {
      body ??= read(bytesMax);
      return body;
    },
  };

  function read(bytesMax: number): Promise<Buffer> {
    const tooLarge = (): HttpError => new HttpError(413, `the body is larger than ${bytesMax} bytes`);
    if (Number(incoming.headers["content-length"] ?? 0) > bytesMax) return Promise.reject(tooLarge());
    if (gone.signal.aborted) return Promise.reject(reasonOf(gone.signal));
    if (continues) response.writeContinue();
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const settle = (run: () => void): void => {
        timer.cancel();
        gone.signal.removeEventListener("abort", onAbort);
        incoming.off("data", onData).off("end", onEnd).off("close", onClose);
        run();
      };
      const fail = (error: HttpError): void => settle(() => {
        incoming.pause();
        reject(error);
      });
      const onData = (chunk: Buffer): void => {
        size += chunk.length;
        if (size > bytesMax) fail(tooLarge());
        else chunks.push(chunk);
      };
      const onEnd = (): void => settle(() => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
      const onClose = (): void => fail(new HttpError(400, "the peer went away"));
      const onAbort = (): void => fail(reasonOf(gone.signal));
      const timer = clock.at(clock.now() + BODY_MS_MAX, () => fail(new HttpError(408, "the body took too long")));
      gone.signal.addEventListener("abort", onAbort);
      incoming.on("data", onData).on("end", onEnd).on("close", onClose);
    });
  }

  async function answer({ status, headers = {}, body: text = "" }: HttpAnswer): Promise<void> {
    if (response.headersSent || response.destroyed) return;
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    const unread = hasBody(incoming) && !incoming.complete;
    response.statusCode = status;
    if (bytes.length > 0) {
      response.setHeader("content-type", typeof text === "string" ? "text/plain; charset=utf-8" : "application/octet-stream");
      response.setHeader("x-content-type-options", "nosniff");
    }
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (status !== 204 && status !== 304) response.setHeader("content-length", bytes.length);
    const sent = new Promise<void>((resolve) => void response.once("finish", resolve).once("close", resolve));
    if (unread) {
      // Closing while bytes wait unread makes the kernel reset the connection, and the peer loses the answer:
      // so the whole answer goes first, then what still comes is thrown away, then the connection ends.
      response.setHeader("connection", "close");
      response.flushHeaders();
      if (bytes.length > 0) response.write(bytes);
      await drained(incoming, clock);
      response.end();
    } else {
      response.end(bytes);
    }
    await sent;
  }

  return {
    request,
    answer,
    givenUp: givenUp.signal,
    abort(reason) {
      gone.abort(reason);
      givenUp.abort(reason);
    },
    cut: () => void response.destroy(),
  };
}

function reasonOf(signal: AbortSignal): HttpError {
  return signal.reason instanceof HttpError ? signal.reason : new HttpError(503, "stopping");
}

function hasBody(incoming: IncomingMessage): boolean {
  return incoming.headers["transfer-encoding"] !== undefined || Number(incoming.headers["content-length"] ?? 0) > 0;
}

function drained(incoming: IncomingMessage, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let left = DRAIN_BYTES_MAX;
    const done = (): void => {
      timer.cancel();
      incoming.off("data", onData).off("end", done).off("close", done);
      resolve();
    };
    const onData = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left < 0) done();
    };
    const timer = clock.at(clock.now() + DRAIN_MS_MAX, done);
    if (incoming.destroyed || incoming.readableEnded) return done();
    incoming.on("end", done).on("close", done).on("data", onData).resume();
  });
}

// The target is split as text: `new URL` would normalise `..`, so that two spellings meet one route.
function target(url: string): { path: string; query: URLSearchParams } {
  const absolute = /^https?:\/\/[^/?]*/i.exec(url);
  const local = absolute === null ? url : url.slice(absolute[0].length) || "/";
  const mark = local.indexOf("?");
  const path = mark < 0 ? local : local.slice(0, mark);
  return { path, query: new URLSearchParams(mark < 0 ? "" : local.slice(mark + 1)) };
}

function headersOf(incoming: IncomingMessage): Readonly<Record<string, string | undefined>> {
  const headers = Object.create(null) as Record<string, string | undefined>;
  for (const [name, value] of Object.entries(incoming.headers)) {
    headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}
