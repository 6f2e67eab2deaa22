import { messageOf } from "../sdk/errors.ts";

/** Host and port of `host:port`, `:port` (every interface) or `[v6]:port`. Throws when the text is none of them. */
export function parseAddress(address: string): { readonly host: string | undefined; readonly port: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+(?:%\w+)?)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(address);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) {
    throw new Error(`"${address}" is no address; write 127.0.0.1:8081, :8081 or [::1]:8081`);
  }
  return { host: parts[1] ?? (parts[2] === "" ? undefined : parts[2]), port };
}

/** The one spelling of an address: routes that name it share a server. */
export function canonicalAddress(address: string): string {
  parseAddress(address);
  return address.toLowerCase();
}

/** Why an address cannot be bound, and what to do. `own`: another address of this agent with the same port, if any. */
export function bindError(address: string, error: NodeJS.ErrnoException, own: string | undefined): Error {
  const says: Readonly<Record<string, string>> = {
    EADDRINUSE: own === undefined
      ? "is taken by another process; stop that process or choose another port"
      : `is taken by this agent's own ${own}; write both the same way or choose another port`,
    EACCES: "may not be opened by this user; choose a port above 1023",
    EADDRNOTAVAIL: "is no address of this machine; choose 127.0.0.1 or one that it has",
    ENOTFOUND: "names a host that cannot be resolved; choose an IP address",
  };
  return new Error(`${address} ${says[error.code ?? ""] ?? `cannot be opened: ${messageOf(error)}`}`, { cause: error });
}
