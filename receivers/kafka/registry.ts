import type { Clock } from "../../src/sdk/clock.ts";
import { deadline } from "../../src/sdk/clock.ts";
import { ConfigError, PermanentError } from "../../src/sdk/errors.ts";
import { createHttpClient } from "../../src/sdk/http.ts";
import { authorization, checkAuth, type AuthConfig } from "../../src/sdk/http_auth.ts";
import type { Json } from "../../src/sdk/observation.ts";
import type { TlsConfig } from "../../src/sdk/tls.ts";
import { Undecodable, type Decode } from "./decode.ts";
import { decoderOf, type SchemaText, type SchemaType } from "./schema_decoders.ts";

/** `schema_registry` as configured. */
export interface RegistryConfig {
  readonly url: string;
  readonly auth?: AuthConfig | undefined;
  readonly tls?: TlsConfig | undefined;
}

const SCHEMAS_MAX = 1_000;
const SCHEMA_BYTES_MAX = 8 * 2 ** 20;
const REFERENCES_MAX = 100;
const REQUEST_MS_MAX = 10_000;
/** A schema that is not known may be registered a moment later. */
const UNKNOWN_MS = 60_000;
const MAGIC = 0;
const HEAD_BYTES = 5;

const NOT_FRAMED = new Undecodable("not in the schema registry's wire format: a zero byte and a schema's id");

/**
 * Schemas of a registry as Confluent's: asked for once, when a message needs them.
 * https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
 */
export interface SchemaRegistry {
  /** Decodes a value whose schema is there. */
  readonly decode: Decode;
  /** The id of the schema that a value needs and that is not there. */
  missing(bytes: Buffer, start: number, end: number): number | undefined;
  /** Rejects when the registry cannot be asked; a schema that it does not have, or that nobody understands, is remembered. */
  load(id: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

interface Known {
  readonly decode: Decode;
  readonly untilMs: number;
}

/** Throws `ConfigError`. */
export function checkRegistry({ url, auth }: RegistryConfig): void {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) throw new ConfigError("/schema_registry/url", "is no URL such as https://registry.example:8081");
  try {
    if (auth !== undefined) checkAuth(auth);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(`/schema_registry${error.pointer}`, error.message) : error;
  }
}

/** `only`: the type that the encoding names; undefined: any. */
export function createRegistry(config: RegistryConfig, clock: Clock, only: SchemaType | undefined): SchemaRegistry {
  const client = createHttpClient({ clock, tls: config.tls });
  const schemas = new Map<number, Known>();
  const base = config.url.replace(/\/+$/, "");

  async function ask(path: string, signal: AbortSignal): Promise<SchemaText | undefined> {
    const limit = deadline(clock, REQUEST_MS_MAX, signal);
    try {
      const response = await client.send({
        url: `${base}${path}`, signal: limit.signal, bodyBytesMax: SCHEMA_BYTES_MAX,
        headers: {
          accept: "application/vnd.schemaregistry.v1+json, application/json",
          ...(config.auth === undefined ? {} : { authorization: await authorization(config.auth) }),
        },
      });
      if (response.status === 404) return undefined;
      if (response.status !== 200) throw new Error(`the schema registry answers ${response.status}`);
      return schemaText(JSON.parse(response.body.toString()) as Json);
    } finally {
      limit.clear();
    }
  }

  /** What a schema refers to, by the name under which it does. */
  async function references(of: SchemaText, signal: AbortSignal, found = new Map<string, SchemaText>()): Promise<Map<string, SchemaText>> {
    for (const { name, subject, version } of of.references) {
      if (found.has(name)) continue;
      if (found.size >= REFERENCES_MAX) throw new PermanentError(`more than ${REFERENCES_MAX} references`);
      const referred = await ask(`/subjects/${encodeURIComponent(subject)}/versions/${version}`, signal);
      if (referred === undefined) throw new PermanentError("a schema that it refers to is not there");
      found.set(name, referred);
      await references(referred, signal, found);
    }
    return found;
  }

  async function decoder(id: number, signal: AbortSignal): Promise<Decode> {
    const schema = await ask(`/schemas/ids/${id}`, signal);
    if (schema === undefined) return refusing(`schema ${id} is not in the registry`);
    if (only !== undefined && schema.type !== only) return refusing(`schema ${id} is ${schema.type}, not ${only}`);
    try {
      return await decoderOf(schema, await references(schema, signal));
    } catch (error) {
      if (error instanceof PermanentError) return refusing(`schema ${id} cannot be used: ${error.message}`);
      throw error;
    }
  }

  return {
    decode(bytes, start, end) {
      if (end - start < HEAD_BYTES || bytes[start] !== MAGIC) return NOT_FRAMED;
      const id = bytes.readInt32BE(start + 1);
      return schemas.get(id)?.decode(bytes, start + HEAD_BYTES, end) ?? new Undecodable(`schema ${id} is not there`);
    },
    missing(bytes, start, end) {
      if (end - start < HEAD_BYTES || bytes[start] !== MAGIC) return undefined;
      const id = bytes.readInt32BE(start + 1);
      const known = schemas.get(id);
      return known === undefined || known.untilMs < clock.monotonicMs() ? id : undefined;
    },
    async load(id, signal) {
      const decode = await decoder(id, signal);
      const unknown = decode.name === REFUSES;
      schemas.delete(id);
      if (schemas.size >= SCHEMAS_MAX) schemas.delete(schemas.keys().next().value!);
      schemas.set(id, { decode, untilMs: unknown ? clock.monotonicMs() + UNKNOWN_MS : Infinity });
    },
    close: () => client.close(),
  };
}

const REFUSES = "refuses";

function refusing(reason: string): Decode {
  const undecodable = new Undecodable(reason);
  return function refuses() {
    return undecodable;
  };
}

function schemaText(answer: Json): SchemaText {
  const { schema, schemaType = "AVRO", references = [] } = answer as { schema?: Json; schemaType?: Json; references?: Json };
  if (typeof schema !== "string" || (schemaType !== "AVRO" && schemaType !== "PROTOBUF" && schemaType !== "JSON") || !Array.isArray(references)) {
    throw new Error("the schema registry's answer is no schema");
  }
  return {
    schema, type: schemaType,
    references: (references as readonly Partial<SchemaText["references"][number]>[]).map(({ name, subject, version }) => {
      if (typeof name !== "string" || typeof subject !== "string" || typeof version !== "number") throw new Error("the schema registry's answer is no schema");
      return { name, subject, version };
    }),
  };
}
