import { readFile } from "node:fs/promises";

/** Keys of `tls` for whatever connects, named as in the Collector's configtls. */
export const tlsSchema = {
  type: "object",
  additionalProperties: false,
  description: "How to trust the server, and how to prove who we are. Files are read again after a failed connection.",
  properties: {
    ca_file: { type: "string", minLength: 1, description: "PEM file of the authorities to trust, instead of the well-known ones." },
    cert_file: { type: "string", minLength: 1, description: "PEM file of the client's certificate; needs `key_file`." },
    key_file: { type: "string", minLength: 1, description: "PEM file of the client's private key; needs `cert_file`." },
    insecure_skip_verify: { type: "boolean", default: false, description: "Do not verify the server's certificate." },
    server_name: { type: "string", minLength: 1, description: "Name to expect in the certificate, if not the host's." },
  },
  dependentRequired: { cert_file: ["key_file"], key_file: ["cert_file"] },
} as const;

/** `tls` as configured. */
export interface TlsConfig {
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
  readonly insecure_skip_verify?: boolean | undefined;
  readonly server_name?: string | undefined;
}

/** What `tls.connect` takes. */
export interface TlsOptions {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly rejectUnauthorized?: boolean;
  readonly servername?: string;
}

/** Reads the files that `tls` names. Rejects with the key and the path of one that cannot be read. */
export async function tlsOptions(tls: TlsConfig): Promise<TlsOptions> {
  const [ca, cert, key] = await Promise.all([
    contentOf("tls.ca_file", tls.ca_file), contentOf("tls.cert_file", tls.cert_file), contentOf("tls.key_file", tls.key_file),
  ]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls.insecure_skip_verify === true ? { rejectUnauthorized: false } : {}),
    ...(tls.server_name === undefined ? {} : { servername: tls.server_name }),
  };
}

async function contentOf(key: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`${key} cannot be read`, { cause: error });
  }
}
