import { connect, type Socket } from "node:net";
import { createListeners, type AgentListeners } from "../../src/pipeline/listeners.ts";
import { realClock } from "../../src/sdk/clock.ts";
import type { HttpHandler } from "../../src/sdk/listeners.ts";
import { silentLog, type Logger } from "../../src/sdk/log.ts";

export const ADDRESS = "127.0.0.1:0";
export const ok: HttpHandler = () => ({ status: 200, body: "ok" });

/** Runs with listeners of its own, on real sockets, and closes them. */
export async function using<T>(
  run: (listeners: AgentListeners, url: (path: string) => string) => Promise<T>, log: Logger = silentLog,
): Promise<T> {
  const listeners = createListeners({ clock: realClock, log });
  try {
    return await run(listeners, (path) => `http://127.0.0.1:${listeners.port(ADDRESS)}${path}`);
  } finally {
    await listeners.close();
  }
}

/** What a peer that reads until the connection ends gets to see. */
export async function raw(listeners: AgentListeners, send: (socket: Socket) => void): Promise<string> {
  const socket = connect(listeners.port(ADDRESS)!, "127.0.0.1");
  socket.setEncoding("utf8");
  socket.once("connect", () => send(socket));
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Opens once, for whoever waits. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
