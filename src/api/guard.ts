import { isIP } from "node:net";
import { HttpError, type HttpRequest } from "../sdk/listeners.ts";

/** `127.0.0.0/8`, `::1` or `localhost`; IPv6 without brackets. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 4) return host.startsWith("127.");
  if (version === 6) return /^(?:::|(?:0{1,4}:){7})0{0,3}1$/.test(host);
  return /^localhost\.?$/i.test(host);
}

/**
 * Refuses (`HttpError` 403) what a web page that a person on this machine looks at could send: requests under a foreign
 * name that was made to resolve to this machine (DNS rebinding), and changes from another origin. There are no
 * credentials that would tell a page from its reader.
 * https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
 */
export function guard({ method, headers }: HttpRequest): void {
  const host = headers["host"] ?? "";
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(host);
  if (name === null || !isLoopback(name[1] ?? name[2]!)) {
    throw new HttpError(403, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]");
  }
  if (method === "GET" || method === "HEAD") return;
  const origin = headers["origin"];
  const site = headers["sec-fetch-site"];
  const foreign = (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`)
    || (site !== undefined && site !== "same-origin" && site !== "none");
  if (foreign) throw new HttpError(403, "requests of pages of another origin are refused");
}
