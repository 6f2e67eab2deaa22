import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A request that a fake server got, with its whole body. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A real HTTP server on a port of its own; `await using` ends it with all its connections. */
export interface FakeServer extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /** In order of arrival. */
  readonly received: readonly Received[];
  /** Connections open now. */
  readonly connections: number;
}

/** What a fake server does with a request whose body has been read. */
export type Answer = (request: Received, response: ServerResponse, index: number) => void;

/** Answers JSON. */
export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

/** Starts a server on 127.0.0.1; with `tls` it speaks https. */
export async function fakeServer(answer: Answer, tls?: { readonly key: Buffer; readonly cert: Buffer; readonly ca?: Buffer }): Promise<FakeServer> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  const onRequest: RequestListener = (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
      const request = {
        method: incoming.method ?? "", url: incoming.url ?? "", headers: incoming.headers, body: Buffer.concat(chunks).toString(),
      };
      answer(request, response, received.push(request) - 1);
    });
  };
  const server: Server = tls === undefined
    ? createServer(onRequest)
    : createTlsServer({ ...tls, ...(tls.ca === undefined ? {} : { requestCert: true }) }, onRequest);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http${tls === undefined ? "" : "s"}://127.0.0.1:${port}`,
    port,
    received,
    get connections() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A self-signed certificate for 127.0.0.1 and `localhost`, made for this test run by the openssl command. */
export function selfSigned(commonName = "localhost"): { readonly key: Buffer; readonly cert: Buffer; readonly directory: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), "sojourn-tls-"));
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", `/CN=${commonName}`, "-addext", `subjectAltName=DNS:${commonName},IP:127.0.0.1`, "-keyout", key, "-out", cert,
  ], { stdio: "pipe" });
  return {
    key: readFileSync(key), cert: readFileSync(cert), directory,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
