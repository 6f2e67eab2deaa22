import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { deadline, type Clock } from "../../src/sdk/clock.ts";
import type { HttpClient, HttpResponse } from "../../src/sdk/http.ts";
import { secretsSent, withoutSecrets } from "../../src/sdk/http_secrets.ts";
import { refusedPart, type Serializer } from "./serializer.ts";

const compress = promisify(gzip);
const ANSWER_BYTES_MAX = 2 ** 20;

/** Where one signal goes, and how. */
export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: "gzip" | "none";
  readonly timeoutMs: number;
  readonly client: HttpClient;
  readonly clock: Clock;
}

/** An answer, and what it says was refused of a request that was taken; without what the receiver must not tell. */
export interface Posted {
  readonly response: HttpResponse;
  readonly refused: string | undefined;
}

/** Gives what makes one attempt each. It rejects where `HttpClient.send` does; any answer is an answer. */
export function createPost<Request>(target: Target): (request: Request, serializer: Serializer<Request>, parent: AbortSignal) => Promise<Posted> {
  const { url, client, clock, timeoutMs } = target;
  const secrets = secretsSent(target.headers, new URL(url));
  const zipped = target.compression === "gzip";
  return async (request, { encode, decode, contentType }, parent) => {
    const bytes = encode(request);
    if (bytes === undefined) throw new Error("the request cannot be encoded");
    const limit = deadline(clock, timeoutMs, parent);
    try {
      const response = await client.send({
        url,
        method: "POST",
        headers: { ...target.headers, "content-type": contentType, ...(zipped ? { "content-encoding": "gzip" } : {}) },
        body: zipped ? await compress(bytes) : bytes,
        signal: limit.signal,
        bodyBytesMax: ANSWER_BYTES_MAX,
        bodyOptional: true,
      });
      const refused = isTaken(response) ? refusedPart(() => decode(response.body)) : undefined;
      return { response, refused: refused === undefined ? undefined : `${response.name} ${withoutSecrets(secrets, refused)}` };
    } finally {
      limit.clear();
    }
  };
}

export function isTaken({ status }: Pick<HttpResponse, "status">): boolean {
  return status >= 200 && status <= 299;
}
