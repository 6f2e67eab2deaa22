/** A request whose body has not been read. */
export interface HttpRequest {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case names; repeated headers joined as Node does. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Address of the peer, for logs. */
  readonly remote: string;
  /** Aborted when the peer goes away or the listener closes. */
  readonly signal: AbortSignal;
  /**
   * The raw body. Rejects with `HttpError` 413 beyond `bytesMax` (declared or received),
   * 400 when the peer breaks off, 408 when it is too slow.
   */
  bytes(bytesMax: number): Promise<Buffer>;
}

/** What to answer. A string body is sent as text/plain unless `headers` says otherwise. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Thrown by a handler, or by `bytes`: becomes the answer. */
export class HttpError extends Error {
  override name = "HttpError";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export type HttpHandler = (request: HttpRequest) => Promise<HttpAnswer> | HttpAnswer;

/** A path claimed on an address. */
export interface Route {
  /** Binds the address if nobody has yet, and answers from now on. Rejects with a clear message when it cannot be bound. */
  open(): Promise<void>;
  /**
   * Stops answering; settles when no request of this route is under way. The address stays bound while any route
   * on it is open and, during a reload, until the reload is over: requests to the path meanwhile wait for its successor.
   */
  close(): Promise<void>;
}

/** The HTTP servers of the agent, keyed by address. They outlive the components registered on them. */
export interface Listeners {
  /**
   * A claim on `path` (exact; a trailing `/*` matches everything below) at `address` (`host:port`, `:port`, `[v6]:port`).
   * No side effect before `open`. Opening a path that is taken rejects, naming the owner.
   */
  route(address: string, path: string, owner: string, handler: HttpHandler): Route;
  /** The port really bound at `address` (for port 0), or undefined. */
  port(address: string): number | undefined;
}
